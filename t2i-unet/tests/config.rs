//! Every option of diffusers' `UNet2DConditionModel` is honoured or refused by its name.

use serde_json::{Map, Value, json};
use t2i_core::{Error, Options, Result};
use t2i_unet::{Activation, BlockType, MidBlockType, UNetConfig};

/// Options whose value changes nothing about a loaded network.
const WITHOUT_EFFECT: &[&str] = &["dropout", "use_linear_projection", "addition_embed_type_num_heads"];

/// A config of Stable Diffusion 1 as diffusers 0.42.1 saves it, with every option there is.
fn complete() -> Map<String, Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/unet/sd1/config.json");
    let text = std::fs::read_to_string(path).expect("the reference is there");
    serde_json::from_str(&text).expect("an object")
}

fn read(json: Map<String, Value>) -> Result<UNetConfig> {
    UNetConfig::from_options(Options::from_json("unet/config.json", Value::Object(json)).expect("an object"))
}

fn with(changes: &[(&str, Value)]) -> Result<UNetConfig> {
    let mut json = complete();
    json.extend(changes.iter().map(|(option, value)| ((*option).to_owned(), value.clone())));
    read(json)
}

/// Values that must be refused. The network has four blocks, of 8 and 16 channels.
fn unsupported() -> Vec<(&'static str, Vec<Value>)> {
    let four = |name: &str| json!([name, name, name, name]);
    vec![
        ("sample_size", vec![json!("large"), json!([64]), json!(-1)]),
        ("in_channels", vec![json!(0), json!(-4), json!(null), json!(1u64 << 60)]),
        ("out_channels", vec![json!(0), json!(1.5)]),
        ("center_input_sample", vec![json!("yes")]),
        ("flip_sin_to_cos", vec![json!(1)]),
        ("freq_shift", vec![json!("none"), json!(4), json!(1e9)]),
        ("down_block_types", vec![four("AttnDownBlock2D"), four("UpBlock2D"), json!(["DownBlock2D"]), json!([])]),
        ("mid_block_type", vec![json!("UNetMidBlock2DSimpleCrossAttn"), json!("")]),
        ("up_block_types", vec![four("SkipUpBlock2D"), four("DownBlock2D"), json!(["UpBlock2D"]), json!(null)]),
        ("only_cross_attention", vec![json!([true]), json!("all"), json!(null)]),
        ("block_out_channels", vec![json!([]), json!([0, 0, 0, 0]), json!([1u64 << 60, 8, 8, 8]), json!(8)]),
        ("layers_per_block", vec![json!([2, 2]), json!(0), json!([1, 1, 1, 0]), json!(1u64 << 60)]),
        ("downsample_padding", vec![json!(2), json!(null)]),
        ("mid_block_scale_factor", vec![json!(0), json!(null)]),
        ("act_fn", vec![json!("tanh"), json!(null)]),
        ("norm_num_groups", vec![json!(null), json!(0), json!(7)]),
        ("norm_eps", vec![json!("small"), json!(-1)]),
        ("cross_attention_dim", vec![json!(0), json!([12, 12]), json!([12, 12, 12, 16])]),
        ("transformer_layers_per_block", vec![json!([1, 2]), json!([[1, 1], 1, 1, 1]), json!(1u64 << 60)]),
        ("reverse_transformer_layers_per_block", vec![json!([1, 2]), json!([1, [1, 1], 1, 1]), json!("same")]),
        ("encoder_hid_dim", vec![json!(768)]),
        ("encoder_hid_dim_type", vec![json!("text_proj"), json!("ip_image_proj")]),
        ("attention_head_dim", vec![json!(3), json!(0), json!([2, 2]), json!([2, 2, 2, 3])]),
        ("num_attention_heads", vec![json!(8)]),
        ("dual_cross_attention", vec![json!(true)]),
        ("class_embed_type", vec![json!("timestep"), json!("projection"), json!("identity")]),
        ("addition_embed_type", vec![json!("text"), json!("text_image"), json!("image"), json!("image_hint")]),
        ("addition_time_embed_dim", vec![json!(256)]),
        ("num_class_embeds", vec![json!(1000)]),
        ("upcast_attention", vec![json!("f32")]),
        ("resnet_time_scale_shift", vec![json!("ada_group"), json!("spatial"), json!(null)]),
        ("resnet_skip_time_act", vec![json!(true)]),
        ("resnet_out_scale_factor", vec![json!(1.4), json!(null)]),
        ("time_embedding_type", vec![json!("fourier")]),
        ("time_embedding_dim", vec![json!(0), json!("wide")]),
        ("time_embedding_act_fn", vec![json!("tanh")]),
        ("timestep_post_act", vec![json!("tanh")]),
        ("time_cond_proj_dim", vec![json!(0), json!(1u64 << 60)]),
        ("conv_in_kernel", vec![json!(4), json!(0), json!(1u64 << 60)]),
        ("conv_out_kernel", vec![json!(2), json!(null)]),
        ("projection_class_embeddings_input_dim", vec![json!(2816)]),
        ("attention_type", vec![json!("gated"), json!("gated-text-image")]),
        ("class_embeddings_concat", vec![json!(true)]),
        ("mid_block_only_cross_attention", vec![json!(true)]),
        ("cross_attention_norm", vec![json!("layer_norm"), json!("group_norm")]),
    ]
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (option, values) in unsupported() {
        for value in values {
            match with(&[(option, value.clone())]) {
                Err(Error::UnsupportedOption { option: named, .. }) => assert_eq!(named, option, "{value}"),
                other => panic!("{option} = {value} gave {other:?}"),
            }
        }
    }
}

#[test]
fn the_table_has_every_option_of_diffusers() {
    let table = unsupported();
    for option in complete().keys().filter(|option| !option.starts_with('_')) {
        let refused = table.iter().any(|(name, _)| name == option);
        assert!(refused || WITHOUT_EFFECT.contains(&option.as_str()), "{option} is not in the table");
    }
}

#[test]
fn an_unknown_option_is_an_error() {
    let error = with(&[("cross_attention_dims", json!(768))]).expect_err("unknown");
    assert!(matches!(&error, Error::UnknownOption { nearest, .. } if nearest[0] == "cross_attention_dim"), "{error}");
}

#[test]
fn what_is_absent_has_the_default_of_diffusers() {
    let config = read(Map::new()).expect("an empty config is a network");
    let expected = UNetConfig { sample_size: None, cross_attention_dim: 1280, ..UNetConfig::sd15() };
    assert_eq!(config, expected);
}

#[test]
fn text_time_needs_both_its_widths() {
    let text_time = ("addition_embed_type", json!("text_time"));
    let widths = [("addition_time_embed_dim", json!(8)), ("projection_class_embeddings_input_dim", json!(58))];
    for missing in 0..2 {
        let error = with(&[text_time.clone(), widths[1 - missing].clone()]).expect_err("a width is missing");
        assert!(error.to_string().contains(widths[missing].0), "{error}");
    }
    let config = with(&[text_time, widths[0].clone(), widths[1].clone()]).expect("complete");
    assert_eq!(config.text_time.expect("given").time_ids(10), 6);
}

#[test]
fn options_have_their_older_forms() {
    let config = with(&[
        ("act_fn", json!("Swish")),
        ("sample_size", json!([64, 96])),
        ("down_block_types", json!(["UNetResCrossAttnDownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D"])),
        ("mid_block_type", json!(null)),
        ("upcast_attention", json!(null)),
        ("resnet_out_scale_factor", json!(1)),
        ("decay", json!(0.9999)),
    ])
    .expect("supported");
    assert_eq!(config.act_fn, Activation::Silu);
    assert_eq!(config.sample_size, Some([64, 96]));
    assert_eq!(config.down_block_types[..2], [BlockType::CrossAttention, BlockType::Plain]);
    assert_eq!(config.mid_block_type, None);
}

#[test]
fn a_plain_middle_and_plain_blocks_need_no_heads_that_fit() {
    let plain = |way: &str| json!(vec![format!("{way}Block2D"); 4]);
    let config = with(&[
        ("attention_head_dim", json!(3)),
        ("mid_block_type", json!("UNetMidBlock2D")),
        ("down_block_types", plain("Down")),
        ("up_block_types", plain("Up")),
    ])
    .expect("no block has attention");
    assert_eq!(config.mid_block_type, Some(MidBlockType::Plain));
}
