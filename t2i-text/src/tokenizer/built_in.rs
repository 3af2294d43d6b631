//! The vocabulary of OpenAI's CLIP, out of the crate `instant-clip-tokenizer`.
//!
//! That crate embeds the vocabulary but tokenizes by rules of its own and has no way to list tokens or merges. Both
//! follow from what it does offer: `decode` spells any token, and the merges are the order of the ids, because the
//! token of a merge gets the next id.

use std::collections::HashMap;

use instant_clip_tokenizer::{Token, Tokenizer};

use super::Vocabulary;

/// Ids below this are the bytes; from here to twice this, the bytes at the end of a word. Then come the merges.
const BYTES: u32 = 256;

pub(super) fn vocabulary() -> Vocabulary {
    let clip = Tokenizer::new();
    let [bos, eos] = [clip.start_of_text(), clip.end_of_text()].map(|token| u32::from(token.to_u16()));
    let alphabet = Alphabet::new();
    let mut tokens: Vec<_> = (0..2 * BYTES).map(|id| alphabet.letter(id)).collect();
    let mut merges = Merges::default();
    let mut pairs = Vec::new();
    for id in 2 * BYTES..bos {
        let (bytes, end_of_word) = spelling(&clip, &alphabet, id);
        let (a, b) = merges.learn(alphabet.ids(&bytes, end_of_word), id);
        let (a, b) = (tokens[a as usize].clone(), tokens[b as usize].clone());
        tokens.push(format!("{a}{b}"));
        pairs.push((a, b));
    }
    let mut ids: HashMap<_, _> = tokens.into_iter().zip(0..).collect();
    ids.extend([("<|startoftext|>".to_owned(), bos), ("<|endoftext|>".to_owned(), eos)]);
    Vocabulary { ids, merges: pairs }
}

/// How vocabulary files write the first 512 tokens: the 256 bytes, and the same at the end of a word.
///
/// # Panics
/// If `id` is 512 or more.
pub fn byte_token(id: u32) -> String {
    assert!(id < 2 * BYTES, "token {id} is no byte");
    Alphabet::new().letter(id)
}

/// The order of the bytes, which byte-level tokenizers write as printable letters.
struct Alphabet {
    bytes: Vec<u8>,
    id_of_byte: [u32; BYTES as usize],
}

impl Alphabet {
    fn new() -> Self {
        let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        let (mut bytes, others): (Vec<_>, Vec<_>) = (0..=u8::MAX).partition(printable);
        bytes.extend(others);
        let mut id_of_byte = [0; BYTES as usize];
        bytes.iter().zip(0..).for_each(|(byte, id)| id_of_byte[usize::from(*byte)] = id);
        Self { bytes, id_of_byte }
    }

    /// How vocabulary files write one of the first 512 tokens.
    fn letter(&self, id: u32) -> String {
        let index = id % BYTES;
        let byte = self.bytes[index as usize];
        let first_unprintable = BYTES - 68;
        let letter = match index.checked_sub(first_unprintable) {
            None => char::from(byte),
            Some(n) => char::from_u32(BYTES + n).expect("a letter of Latin Extended-A"),
        };
        format!("{letter}{}", if id < BYTES { "" } else { "</w>" })
    }

    fn ids(&self, bytes: &[u8], end_of_word: bool) -> Vec<u32> {
        let mut ids: Vec<_> = bytes.iter().map(|byte| self.id_of_byte[usize::from(*byte)]).collect();
        if let Some(last) = ids.last_mut() {
            *last += BYTES * u32::from(end_of_word);
        }
        ids
    }
}

/// The bytes of a token, and whether it ends a word.
///
/// `decode` replaces bytes that are not UTF-8, and some tokens begin or end within a character: it is asked for the
/// token between bytes that complete the characters.
fn spelling(clip: &Tokenizer, alphabet: &Alphabet, id: u32) -> (Vec<u8>, bool) {
    let token = |id: u32| Token::from_u16(id as u16, clip).expect("every id of CLIP fits 16 bits");
    let spell = |before: &[u8], after: &[u8]| {
        let bytes = |bytes: &[u8]| alphabet.ids(bytes, false).into_iter().map(token).collect::<Vec<_>>();
        let text = clip.decode([bytes(before), vec![token(id)], bytes(after)].concat());
        let lost = text.matches(char::REPLACEMENT_CHARACTER).count();
        (lost, text.as_bytes()[before.len().min(text.len())..].to_vec(), after.len())
    };
    let whole = spell(&[], &[]);
    let completions = || BEFORE.iter().flat_map(|before| AFTER.iter().map(|after| spell(before, after)));
    let (_, mut bytes, after) = match whole.0 {
        0 => whole,
        _ => completions().min_by_key(|(lost, ..)| *lost).expect("there are completions"),
    };
    bytes.truncate(bytes.len() - after);
    let end_of_word = bytes.pop_if(|last| *last == b' ').is_some();
    (bytes, end_of_word)
}

/// Beginnings of characters, for tokens that begin with the rest of one. The empty one is tried first.
const BEFORE: [&[u8]; 7] = [&[], &[0xC3], &[0xE1], &[0xF1], &[0xE1, 0x80], &[0xF1, 0x80], &[0xF1, 0x80, 0x80]];

/// Ends of characters, for tokens that end with the beginning of one. Some beginnings allow only a low, some only a
/// high second byte.
const AFTER: [&[u8]; 7] =
    [&[], &[0x80], &[0xA0], &[0x80, 0x80], &[0xA0, 0x80], &[0x80, 0x80, 0x80], &[0xA0, 0x80, 0x80]];

/// The merges learned so far, by the ids of the pair.
#[derive(Default)]
struct Merges(HashMap<(u32, u32), u32>);

impl Merges {
    /// The merge that makes token `id`: the two tokens that earlier merges leave of its letters.
    fn learn(&mut self, mut letters: Vec<u32>, id: u32) -> (u32, u32) {
        while let Some((at, merged)) = self.first_merge(&letters) {
            letters.splice(at..at + 2, [merged]);
        }
        let [a, b] = letters[..] else { unreachable!("a token of CLIP is a merge of two earlier ones") };
        self.0.insert((a, b), id);
        (a, b)
    }

    fn first_merge(&self, letters: &[u32]) -> Option<(usize, u32)> {
        let pairs = letters.windows(2).enumerate();
        let merges = pairs.filter_map(|(at, pair)| Some((at, *self.0.get(&(pair[0], pair[1]))?)));
        merges.min_by_key(|(_, merged)| *merged)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn tokens_and_merges_are_the_published_ones() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/configs/sd14/tokenizer");
        let (Ok(vocab), Ok(merges)) =
            (std::fs::read_to_string(folder.join("vocab.json")), std::fs::read_to_string(folder.join("merges.txt")))
        else {
            eprintln!("skipped: no {}", folder.display());
            return;
        };
        let found = vocabulary();
        assert_eq!(found.ids, serde_json::from_str::<HashMap<String, u32>>(&vocab).expect("a vocabulary"));
        let lines: Vec<_> = found.merges.iter().map(|(a, b)| format!("{a} {b}")).collect();
        assert_eq!(lines, merges.lines().skip(1).collect::<Vec<_>>());
    }

    /// Known without the files: 512 bytes, 48,894 merges and two special tokens, none of them twice.
    #[test]
    fn there_are_49408_tokens() {
        let found = vocabulary();
        assert_eq!((found.ids.len(), found.merges.len()), (49408, 48894));
        assert!(found.ids.values().all(|id| *id < 49408));
    }
}
