"""Makes tests/golden/text: token ids of 1,000 prompts, and tiny text encoders with their outputs.

Pinned: transformers 5.23.0, tokenizers 0.23.3, torch 2.15.0, safetensors 0.8.0.

usage: make_text.py CLIP_TOKENIZER_FOLDER ZERO_PADDED_CLIP_TOKENIZER_FOLDER
The folders are `tokenizer` of Stable Diffusion 1.4 and `tokenizer_2` of Stable Diffusion XL (vocab.json, merges.txt and
the two configs). Only ids are stored.
"""

import json
import random
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

OUT = Path(__file__).parent / "text"

# ---------------------------------------------------------------- prompts

HAND_WRITTEN = [
    "",
    " ",
    "\n\t \r\n",
    "a photo of an astronaut riding a horse on mars",
    "A PHOTO OF AN ASTRONAUT",
    "wow!!! hi !",
    "!",
    "!!!!!!!!!!!!!!!!!!!!!",
    "a  photo\tof\n\na   cat ",
    "  leading and trailing  ",
    "non\u00a0breaking\u2003em\u2009thin\u3000ideographic\u2028line\u2029paragraph\u0085next",
    "zero\u200bwidth\u200cnon\u200djoiner\u2060word\ufeffbom",
    "control \x00 \x01 \x07 \x08 \x1b[31m \x1c\x1d\x1e\x1f \x7f \x80 \x9f",
    "soft\u00adhyphen",
    "i'm you're he'd they'll we've it's don't 's 't 're 've 'm 'll 'd",
    "I'M YOU'RE HE'D THEY'LL WE'VE IT'S DON'T",
    "i’m you’re don’t ‘quoted’ “double”",
    "'sunset 'tis 'twas rock'n'roll o'clock ''s ''''t",
    "x'smile'more'domain'really",
    "1234567890 3.14159 1,000,000 -42 +7 1e-5 0xFF 4k 8K 35mm f/1.8 16:9 1920x1080",
    "½ ⅓ ² ³ ₄ ⁵ Ⅳ ⅷ ① ⑳ ㊿ ٣ ६ ৭ ௩ ๙ 〇 五 𝟘𝟙𝟚 𝟜",
    "<|endoftext|>",
    "<|startoftext|>",
    "a<|endoftext|>b",
    "a <|endoftext|> b <|startoftext|> c",
    "<|EndOfText|> <|STARTOFTEXT|> <|ENDOFTEXT|>",
    "<|endoftext|><|endoftext|><|startoftext|>",
    "<|endoftext|",
    "<| endoftext |>",
    "!<|endoftext|>!",
    "--<|endoftext|>--",
    "<start_of_text> <end_of_text>",
    "</w> a</w>b </w></w>",
    "&amp; &lt;b&gt; &quot;x&quot; &#39; &nbsp; &amp;amp; &eacute;",
    "<b>bold</b> <img src='x.png'> <!-- c -->",
    "İstanbul ISPARTA ıspanak İİİ I i ı i̇",
    "ΣΑΣ ὈΔΥΣΣΕΎΣ ΟΔΟΣ. Σ ς σ",
    "STRASSE Straße GROẞ ẞ",
    "ǅ ǈ ǋ ǲ Ǆ ŉ ﬁ ﬂ ﬀ ﬃ ﬅ",
    "ſtraße Kelvin K Ångström Å Ω Ohm",
    "cafe\u0301 café CAFE\u0301 CAFÉ",
    "a\u0323\u0307 a\u0307\u0323 ạ\u0307 ȧ\u0323",
    "Z̸̢̛̭͙a̷͇͝l̵̰̐g̶̺̈́o̸̥͌",
    "\u0301 \u0308leading marks \u20dd",
    "한국어 각 가 \u1100\u1161\u11a8 ㄱㅏ",
    "がぎぐ か\u3099き\u3099 ハ\u309aﾊﾟ ｶﾞ",
    "ＦＵＬＬ ｗｉｄｔｈ １２３ ！？",
    "漢字仮名交じり文。「引用」、『本』…",
    "我喜欢猫🐱和狗🐶！",
    "क्षत्रिय हिन्दी स्त्री ज़ ज\u093c",
    "ภาษาไทย ไม่มีช่องว่าง กำ ก\u0e4d\u0e32",
    "العَرَبِيَّة مُشَكَّلة ﷺ ﷽ لا ﻻ",
    "עִבְרִית שָׁלוֹם \ufb2a \ufb31",
    "\u202eright to left\u202c \u2066isolate\u2069 \u200e\u200f",
    "Tiếng Việt có nhiều dấu: ề ễ ộ ứ ự",
    "བོད་སྐད་ ལྷ་ས།",
    "𝓜𝓪𝓽𝓱 𝔉𝔯𝔞𝔨𝔱𝔲𝔯 𝕯𝖔𝖚𝖇𝖑𝖊 𝚖𝚘𝚗𝚘",
    "𐍈 𐐀𐐨 𞤀𞤢 𐲀𐳀 𒀀 𓀀 𠀀 𪛟 𰻝",
    "👨‍👩‍👧‍👦 👩🏽‍🚀 🏳️‍🌈 🏴‍☠️ 🧑🏿‍🤝‍🧑🏻",
    "👍👍🏻👍🏼👍🏽👍🏾👍🏿",
    "🇩🇪🇫🇷🇯🇵 🇺🇳 🇦 🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "1️⃣ #️⃣ *️⃣ ©️ ™️ ❤️ ❤ ☺︎ ☺️",
    "😀😃😄😁😆😅😂🤣 :) ;-) :'( <3 ^_^ ¯\\_(ツ)_/¯",
    "... …… --- ——— ~~~ *** ((((())))) [[[]]] {{{}}} |||| \\\\\\\\ ////",
    "(masterpiece:1.2), ((best quality)), [ugly], {a|b|c}, <lora:x:0.8>, BREAK, AND",
    "!?!?!? ?!?! .,;:'\"`~@#$%^&*()_+-=[]{}|\\<>/",
    "snake_case kebab-case camelCase PascalCase SCREAMING_CASE dot.case",
    "https://example.com/a?b=c&d=e#f user@example.com #hashtag @mention $5 €5 £5 ¥5 ₿",
    "H₂O CO₂ E=mc² ∑∫√∞≈≠≤≥ ∀∃∈∉ → ⇒ ↔ ∇·E",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "donaudampfschifffahrtsgesellschaftskapitänsmütze",
    "a" * 300,
    "ab" * 200,
    "xyzzy" * 60,
    "é" * 100,
    "日" * 90,
    "🦀" * 40,
    "supercalifragilistic" * 20,
    "word " * 74,
    "word " * 75,
    "word " * 76,
    "word " * 200,
    "cat, " * 37 + "cat",
    "\ud7a3 \ue000 \uf8ff \ufffd \ufffe \uffff \U000f0000 \U0010ffff",
    "�� broken � text",
    "tab\tseparated\tvalues\vvertical\fform",
    "\u1680ogham\u180emongolian\u205fmath",
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß÷ÿ ¡¢£¤¥¦§¨©ª«¬®¯°±´µ¶·¸º»¿",
    "ÃƒÂ© mojibake â€œquotesâ€\x9d Ã¼",
    "Þórr Æsir ÞÞ ðð Łódź Řeka Ğ ğ Ş ş Ő ű",
    "Ђ Ѓ Ѕ І Ї Ј Љ Њ Ћ Ќ Ў Џ Ґ ґ Ѣ ѣ Ѳ",
    "ა ᲐᲑᲒ Ⴀ ⴀ Ꭰ ꭰ Ᏸ ᏸ",
    "Ա Բ և ﬓ Ԁ",
]

# Runs of code points from which words of a script are made.
SCRIPTS = {
    "latin": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "latin_marks": "àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿžšđčćłńśźżąęőűÀÉÎÕÜŽŠŁ",
    "vietnamese": "ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ",
    "greek": "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώΑΒΓΔΕΖΗΘΛΞΠΣΦΨΩ",
    "cyrillic": "абвгдеёжзийклмнопрстуфхцчшщъыьэюяАБВГДЕЖЗИКЛМНОПРСТФЦЧШЩЮЯіїєґўђћ",
    "armenian": "աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ",
    "georgian": "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
    "hebrew": "אבגדהוזחטיכךלמםנןסעפףצץקרשת",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهويءآأؤإئةى\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652",
    "persian": "پچژگکیۀۀآ\u200c",
    "devanagari": "अआइईउऊएऐओऔकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसह\u093e\u093f\u0940\u0941\u0942\u0947\u0948\u094b\u094c\u094d\u0902",
    "bengali": "অআইঈউঊএঐওঔকখগঘঙচছজঝটঠডঢণতথদধনপফবভমযরলশষসহ\u09be\u09bf\u09c0\u09cd",
    "tamil": "அஆஇஈஉஊஎஏஐஒகஙசஞடணதநபமயரலவழளறன\u0bbe\u0bbf\u0bc0\u0bcd",
    "thai": "กขคงจฉชซญดตถทธนบปผฝพฟมยรลวศษสหอฮะาิีึืุูเแโใไ่้๊๋์ๅ",
    "khmer": "កខគឃងចឆជឈញដឋឌឍណតថទធនបផពភមយរលវសហ\u17b6\u17b7\u17d2",
    "georgian_old": "ⴀⴁⴂⴃⴄⴅႠႡႢႣᲐᲑᲒ",
    "ethiopic": "ሀለሐመሠረሰሸቀበተቸኀነኘአከኸወዐዘዠየደጀገጠጨጰጸፀፈፐ",
    "hiragana": "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん\u3099",
    "katakana": "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲンー",
    "han": "的一是不了人我在有他这中大来上个国和也子时道说出会为而生美女風景山水猫狗城市夜空星月花鳥龍鳳",
    "hangul": "가나다라마바사아자차카타파하고노도로모보소오조초코토포호한국어사진고양이\u1100\u1161\u11a8",
    "digits": "0123456789٠١٢٣٤٥०१२३４５６²³½Ⅻ",
    "punctuation": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«»„“”‘’—–…·•§¶†‡",
    "symbols": "←↑→↓⇒∀∂∃∅∇∈∑−√∞∫≈≠≤≥⊂⊕⌘⏎①②③■□▲△◆◇○●★☆☎♀♂♠♥♪♫♯✓✔✗✨❄❤➜",
    "marks": "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030c\u0323\u0327\u0328\u0338\u20dd\ufe0f",
    "emoji": "😀😂🥰😎🤖👽💀🎃🐱🐶🦊🐉🌸🌲🌙⭐🔥🌈⚡❄🍕🍣🚀🚗🏠🎨🎸⚔💎",
    "rare": "𐍈𐐀𐐨𞤀𞤢𝓐𝔅𝟗𒀀𓂀𠮷𪚥ꙮ꧁꧂᚛ᚐ",
    "control": "\x00\x01\x0b\x0c\x1c\x1f\x7f\x85\u200b\u200d\u2060\ufeff\u202e\u00ad",
}

SEQUENCES = [
    "👨‍👩‍👧", "👩🏽‍🚀", "🏳️‍🌈", "🇫🇷", "🇯🇵🇧🇷", "👍🏿", "1️⃣", "❤️‍🔥", "&amp;", "&#x27;", "<|endoftext|>", "<|startoftext|>",
    "<|EndOfText|>", "'s", "'ll", "'RE", "n't", "<b>", "</w>", "(x:1.2)", "...", "!!!", "?!", "--", "8k", "f/1.4",
]

SPACES = [" ", " ", " ", " ", " ", " ", "  ", "\t", "\n", "", ", ", ". ", "\u00a0", "\u3000", " \u200b ", "-", "\r\n", "/"]

WORDS = (
    "a photo of an astronaut riding horse on mars highly detailed portrait oil painting by greg rutkowski trending "
    "artstation cinematic lighting unreal engine 4k masterpiece best quality cyberpunk city night neon watercolor "
    "sketch medieval castle dragon forest river mountain sunset bokeh 35mm film grain"
).split()


def word(random_, script):
    letters = SCRIPTS[script]
    return "".join(random_.choice(letters) for _ in range(random_.randint(1, random_.choice([3, 6, 12]))))


def prompt(random_):
    """A few scripts mixed, with the odd known word or sequence, and odd spacing."""
    scripts = random_.sample(sorted(SCRIPTS), random_.randint(1, 4))
    parts = []
    for _ in range(random_.randint(1, random_.choice([5, 10, 20, 45]))):
        kind = random_.random()
        if kind < 0.25:
            text = random_.choice(WORDS)
            parts.append(random_.choice([text, text, text.upper(), text.title()]))
        elif kind < 0.33:
            parts.append(random_.choice(SEQUENCES))
        else:
            parts.append(word(random_, random_.choice(scripts)))
        parts.append(random_.choice(SPACES))
    return "".join(parts)


def prompts():
    random_ = random.Random(20)
    made = list(HAND_WRITTEN)
    while len(made) < 1000:
        made.append(prompt(random_))
    return made


def ids(tokenizer, text):
    return tokenizer(text).input_ids


def fitted(tokenizer, text):
    return tokenizer(text, padding="max_length", max_length=tokenizer.model_max_length, truncation=True).input_ids


def make_token_ids(folder, zero_padded_folder):
    end_padded = CLIPTokenizer.from_pretrained(folder)
    zero_padded = CLIPTokenizer.from_pretrained(zero_padded_folder)
    texts = prompts()
    some = [i for i, text in enumerate(texts) if i % 10 == 0 or "word " in text]
    golden = {
        "prompts": texts,
        "ids": [ids(end_padded, text) for text in texts],
        # Only where the exclamation mark or a special token in capitals makes a difference.
        "zero_padded": {
            i: other for i, text in enumerate(texts) if (other := ids(zero_padded, text)) != ids(end_padded, text)
        },
        "fitted": {i: fitted(end_padded, texts[i]) for i in some},
        "zero_fitted": {i: fitted(zero_padded, texts[i]) for i in some},
    }
    (OUT / "clip_ids.json").write_text(json.dumps(golden, separators=(",", ":"), ensure_ascii=False))


# ---------------------------------------------------------------- a tokenizer of our own


def make_tiny_tokenizer():
    """A vocabulary of 100 tokens with some letters unknown, as the two kinds of files that folders hold."""
    letters = list("abcdefghijklmnopqrstuvwxyz0,.")
    merges = [("a", "t</w>"), ("c", "at</w>"), ("t", "h"), ("th", "e</w>"), ("i", "n"), ("o", "f</w>"), ("in", "g</w>")]
    tokens = letters + [letter + "</w>" for letter in letters] + [a + b for a, b in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {token: i for i, token in enumerate(tokens)}
    texts = ["", "the cat", "The ZOO, of: painting", "un 1 0 é 猫 <|endoftext|> <|ENDOFTEXT|> <Toy>", "a <toy> in <toy>the"]
    extra = {"model_max_length": 8}

    plain = OUT / "tiny_plain"
    plain.mkdir(parents=True, exist_ok=True)
    (plain / "vocab.json").write_text(json.dumps(vocab))
    (plain / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    (plain / "tokenizer_config.json").write_text(json.dumps(extra))

    saved = OUT / "tiny_saved"
    tokenizer = CLIPTokenizer.from_pretrained(plain)
    tokenizer.add_tokens(["<toy>"])
    tokenizer.save_pretrained(saved)

    golden = {"prompts": texts}
    for folder in (plain, saved):
        tokenizer = CLIPTokenizer.from_pretrained(folder)
        golden[folder.name] = [ids(tokenizer, text) for text in texts]
        golden[folder.name + "_fitted"] = [fitted(tokenizer, text) for text in texts]
    (OUT / "tiny_ids.json").write_text(json.dumps(golden))


# ---------------------------------------------------------------- encoders

ENCODERS = {
    "quick_gelu_legacy": (CLIPTextModel, dict(hidden_act="quick_gelu", eos_token_id=2)),
    "gelu_explicit": (CLIPTextModel, dict(hidden_act="gelu", eos_token_id=98)),
    "projection_quick_gelu_explicit": (
        CLIPTextModelWithProjection,
        dict(hidden_act="quick_gelu", eos_token_id=98, projection_dim=24),
    ),
    "projection_gelu_legacy": (CLIPTextModelWithProjection, dict(hidden_act="gelu", eos_token_id=2, projection_dim=40)),
}

# Of differing lengths: bos 97, eos 98, padded with eos, with 0, with an added token above eos, or not at all; an end
# token within the text.
IDS = [
    [97, 5, 6, 7, 98, 98, 98, 98, 98, 98, 98, 98],
    [97, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98],
    [97, 31, 4, 15, 92, 65, 35, 89, 79, 32, 38, 98],
    [97, 11, 99, 13, 98, 0, 0, 0, 0, 0, 0, 0],
    [97, 11, 98, 13, 14, 98, 0, 0, 0, 0, 0, 0],
]


def make_encoder(name):
    make, options = ENCODERS[name]
    torch.manual_seed(sorted(ENCODERS).index(name))
    config = CLIPTextConfig(
        vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        max_position_embeddings=12, bos_token_id=97, **options,
    )
    model = make(config).eval()
    for name_, parameter in model.named_parameters():  # norms and biases that matter
        with torch.no_grad():
            noise = torch.randn_like(parameter)
            if "layer_norm" in name_ and name_.endswith("weight"):
                parameter.copy_(1 + 0.2 * noise)
            elif name_.endswith("bias"):
                parameter.copy_(0.2 * noise)
            elif parameter.dim() == 2 and "embedding" not in name_:
                parameter.copy_(noise * parameter.shape[1] ** -0.5)
            else:
                parameter.copy_(0.5 * noise)
    folder = OUT / name
    model.save_pretrained(folder)
    ids_ = torch.tensor(IDS)
    with torch.no_grad():
        out = model(ids_, output_hidden_states=True)
        text_model = getattr(model, "text_model", model)
        pooled = text_model(ids_).pooler_output
        # Clip skip as diffusers' encode_prompt does it: the final norm of an earlier layer.
        skipped = text_model.final_layer_norm(out.hidden_states[-2])
    tensors = {f"hidden_states.{i}": hidden for i, hidden in enumerate(out.hidden_states)}
    tensors |= {"last_hidden_state": out.last_hidden_state, "pooled": pooled, "clip_skip_1": skipped}
    if "text_embeds" in out:
        tensors["text_embeds"] = out.text_embeds
    tensors["ids"] = ids_.to(torch.int32)
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "outputs.safetensors")


def make_parameter_counts():
    """Of the published configs, on the meta device."""
    shared = dict(vocab_size=49408, max_position_embeddings=77, eos_token_id=2, layer_norm_eps=1e-5)
    configs = {
        "clip_l": (CLIPTextModel, dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
                                       num_attention_heads=12, hidden_act="quick_gelu")),
        "open_clip_h": (CLIPTextModel, dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=23,
                                            num_attention_heads=16, hidden_act="gelu")),
        "open_clip_bigg": (CLIPTextModelWithProjection, dict(hidden_size=1280, intermediate_size=5120,
                                                             num_hidden_layers=32, num_attention_heads=20,
                                                             hidden_act="gelu", projection_dim=1280)),
    }
    counts = {}
    with torch.device("meta"):
        for name, (make, options) in configs.items():
            model = make(CLIPTextConfig(**shared, **options))
            counts[name] = sum(parameter.numel() for parameter in model.parameters())
    (OUT / "parameter_counts.json").write_text(json.dumps(counts, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(2)
    OUT.mkdir(exist_ok=True)
    make_token_ids(*sys.argv[1:3])
    make_tiny_tokenizer()
    for encoder in ENCODERS:
        make_encoder(encoder)
    make_parameter_counts()
