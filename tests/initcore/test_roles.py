"""Roles: the conventions of the known families, module types, blocks, depth, sizes of the model."""

import pytest
import torch
from torch import nn

from initcore.defaults import DEFAULTS, construct
from initcore.errors import InitError
from initcore.roles import ROLES, infer_dims, places

D, F, V, T = 32, 96, 80, 24
TWO_BLOCKS = range(2)


def named(shapes, dtype="float32"):
    return {name: (shape, dtype) for name, shape in shapes.items()}


def blocks_of(pattern, table):
    return {pattern.format(i) + name: entry for i in TWO_BLOCKS for name, entry in table.items()}


def norm(name, width=D):
    return {f"{name}.weight": ((width,), "norm"), f"{name}.bias": ((width,), "norm_bias")}


def linear(name, outputs, inputs, role):
    return {
        f"{name}.weight": ((outputs, inputs), role),
        f"{name}.bias": ((outputs,), "bias"),
    }


# Each family: names as its checkpoints have them, with shapes, and the role each tensor has.
FAMILIES = {
    "gpt2, transformers": {
        "transformer.wte.weight": ((V, D), "embedding"),
        "transformer.wpe.weight": ((T, D), "positions"),
        **blocks_of(
            "transformer.h.{}.",
            {
                **norm("ln_1"),
                "attn.bias": ((1, 1, T, T), "buffer"),
                "attn.masked_bias": ((), "buffer"),
                "attn.c_attn.weight": ((D, 3 * D), "qkv"),
                "attn.c_attn.bias": ((3 * D,), "bias"),
                "attn.c_proj.weight": ((D, D), "attention_out"),
                "attn.c_proj.bias": ((D,), "bias"),
                **norm("ln_2"),
                "mlp.c_fc.weight": ((D, 4 * D), "mlp_in"),
                "mlp.c_fc.bias": ((4 * D,), "bias"),
                "mlp.c_proj.weight": ((4 * D, D), "mlp_out"),
                "mlp.c_proj.bias": ((D,), "bias"),
            },
        ),
        **norm("transformer.ln_f"),
        "lm_head.weight": ((V, D), "head"),
    },
    "nanogpt, compiled": {
        "_orig_mod.transformer.wte.weight": ((V, D), "embedding"),
        "_orig_mod.transformer.wpe.weight": ((T, D), "positions"),
        **blocks_of(
            "_orig_mod.transformer.h.{}.",
            {
                "ln_1.weight": ((D,), "norm"),
                "attn.c_attn.weight": ((3 * D, D), "qkv"),
                "attn.c_proj.weight": ((D, D), "attention_out"),
                "mlp.c_fc.weight": ((4 * D, D), "mlp_in"),
                "mlp.c_proj.weight": ((D, 4 * D), "mlp_out"),
            },
        ),
        "_orig_mod.lm_head.weight": ((V, D), "head"),
    },
    "transformer_lens": {
        "embed.W_E": ((V, D), "embedding"),
        "pos_embed.W_pos": ((T, D), "positions"),
        **blocks_of(
            "blocks.{}.",
            {
                "ln1.w": ((D,), "norm"),
                "ln1.b": ((D,), "norm_bias"),
                "attn.W_Q": ((4, D, 8), "other"),  # of all heads
                "attn.W_O": ((4, 8, D), "other"),
                "attn.b_Q": ((4, 8), "bias"),
                "attn.b_O": ((D,), "bias"),
                "mlp.W_in": ((D, F), "mlp_in"),
                "mlp.b_in": ((F,), "bias"),
                "mlp.W_out": ((F, D), "mlp_out"),
                "mlp.b_out": ((D,), "bias"),
            },
        ),
        "ln_final.w": ((D,), "norm"),
        "unembed.W_U": ((D, V), "head"),
        "unembed.b_U": ((V,), "bias"),
    },
    "bert": {
        "bert.embeddings.position_ids": ((1, T), "buffer"),
        "bert.embeddings.word_embeddings.weight": ((V, D), "embedding"),
        "bert.embeddings.position_embeddings.weight": ((T, D), "positions"),
        "bert.embeddings.token_type_embeddings.weight": ((2, D), "embedding"),
        "bert.embeddings.LayerNorm.gamma": ((D,), "norm"),
        "bert.embeddings.LayerNorm.beta": ((D,), "norm_bias"),
        **blocks_of(
            "bert.encoder.layer.{}.",
            {
                **linear("attention.self.query", D, D, "q"),
                **linear("attention.self.key", D, D, "k"),
                **linear("attention.self.value", D, D, "v"),
                **linear("attention.output.dense", D, D, "attention_out"),
                **norm("attention.output.LayerNorm"),
                **linear("intermediate.dense", F, D, "mlp_in"),
                **linear("output.dense", D, F, "mlp_out"),
                **norm("output.LayerNorm"),
            },
        ),
        **linear("bert.pooler.dense", D, D, "linear"),
        "cls.predictions.bias": ((V,), "bias"),
        **linear("cls.predictions.transform.dense", D, D, "linear"),
        **norm("cls.predictions.transform.LayerNorm"),
        "cls.predictions.decoder.weight": ((V, D), "head"),
    },
    "t5": {
        "shared.weight": ((V, D), "embedding"),
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (
            (32, 4),
            "relative_bias",
        ),
        **blocks_of(
            "encoder.block.{}.layer.",
            {
                "0.SelfAttention.q.weight": ((64, D), "q"),
                "0.SelfAttention.k.weight": ((64, D), "k"),
                "0.SelfAttention.v.weight": ((64, D), "v"),
                "0.SelfAttention.o.weight": ((D, 64), "attention_out"),
                "0.layer_norm.weight": ((D,), "norm"),
                "1.DenseReluDense.wi_0.weight": ((F, D), "mlp_in"),
                "1.DenseReluDense.wi_1.weight": ((F, D), "mlp_in"),
                "1.DenseReluDense.wo.weight": ((D, F), "mlp_out"),
                "1.layer_norm.weight": ((D,), "norm"),
            },
        ),
        "encoder.final_layer_norm.weight": ((D,), "norm"),
        "decoder.block.0.layer.1.EncDecAttention.q.weight": ((64, D), "q"),
        "lm_head.weight": ((V, D), "head"),
    },
    "llama, transformers": {
        "model.embed_tokens.weight": ((V, D), "embedding"),
        **blocks_of(
            "model.layers.{}.",
            {
                "self_attn.q_proj.weight": ((D, D), "q"),
                "self_attn.k_proj.weight": ((D // 4, D), "k"),
                "self_attn.v_proj.weight": ((D // 4, D), "v"),
                "self_attn.o_proj.weight": ((D, D), "attention_out"),
                "self_attn.rotary_emb.inv_freq": ((4,), "buffer"),
                "mlp.gate_proj.weight": ((F, D), "mlp_in"),
                "mlp.up_proj.weight": ((F, D), "mlp_in"),
                "mlp.down_proj.weight": ((D, F), "mlp_out"),
                "input_layernorm.weight": ((D,), "norm"),
                "post_attention_layernorm.weight": ((D,), "norm"),
            },
        ),
        "model.norm.weight": ((D,), "norm"),
        "lm_head.weight": ((V, D), "head"),
    },
    "llama, torchtitan": {
        "tok_embeddings.weight": ((V, D), "embedding"),
        **blocks_of(
            "layers.{}.",
            {
                "attention.wq.weight": ((D, D), "q"),
                "attention.wk.weight": ((D, D), "k"),
                "attention.wv.weight": ((D, D), "v"),
                "attention.wo.weight": ((D, D), "attention_out"),
                "feed_forward.w1.weight": ((F, D), "mlp_in"),
                "feed_forward.w2.weight": ((D, F), "mlp_out"),
                "feed_forward.w3.weight": ((F, D), "mlp_in"),
                "attention_norm.weight": ((D,), "norm"),
                "ffn_norm.weight": ((D,), "norm"),
            },
        ),
        "norm.weight": ((D,), "norm"),
        "output.weight": ((V, D), "head"),
    },
    "olmo": {
        "transformer.wte.weight": ((V, D), "embedding"),
        **blocks_of(
            "transformer.blocks.{}.",
            {
                "attn_out.weight": ((D, D), "attention_out"),
                "ff_out.weight": ((D, F), "mlp_out"),
                "att_proj.weight": ((3 * D, D), "qkv"),
                "ff_proj.weight": ((2 * F, D), "mlp_in"),
                "attn_norm.weight": ((D,), "norm"),
                "ff_norm.weight": ((D,), "norm"),
            },
        ),
        "transformer.ln_f.weight": ((D,), "norm"),
        "transformer.ff_out.weight": ((V, D), "head"),
    },
    "litgpt": {
        "lm_head.weight": ((V, D), "head"),
        "transformer.wte.weight": ((V, D), "embedding"),
        **blocks_of(
            "transformer.h.{}.",
            {
                "norm_1.weight": ((D,), "norm"),
                "attn.qkv.weight": ((D + 2 * 8, D), "qkv"),
                "attn.proj.weight": ((D, D), "attention_out"),
                "norm_2.weight": ((D,), "norm"),
                "mlp.fc_1.weight": ((F, D), "mlp_in"),
                "mlp.fc_2.weight": ((F, D), "mlp_in"),
                "mlp.proj.weight": ((D, F), "mlp_out"),
            },
        ),
    },
    "gpt-neox": {
        "gpt_neox.embed_in.weight": ((V, D), "embedding"),
        **blocks_of(
            "gpt_neox.layers.{}.",
            {
                "attention.query_key_value.weight": ((3 * D, D), "qkv"),
                "attention.dense.weight": ((D, D), "attention_out"),
                "mlp.dense_h_to_4h.weight": ((4 * D, D), "mlp_in"),
                "mlp.dense_4h_to_h.weight": ((D, 4 * D), "mlp_out"),
            },
        ),
        "embed_out.weight": ((V, D), "head"),
    },
    "vit, timm": {
        "cls_token": ((1, 1, D), "token"),
        "pos_embed": ((1, 17, D), "positions"),
        "patch_embed.proj.weight": ((D, 3, 4, 4), "conv"),
        "patch_embed.proj.bias": ((D,), "bias"),
        **blocks_of(
            "blocks.{}.",
            {
                **norm("norm1"),
                **linear("attn.qkv", 3 * D, D, "qkv"),
                **linear("attn.proj", D, D, "attention_out"),
                "ls1.gamma": ((D,), "layer_scale"),
                **norm("norm2"),
                **linear("mlp.fc1", F, D, "mlp_in"),
                **linear("mlp.fc2", D, F, "mlp_out"),
                "ls2.gamma": ((D,), "layer_scale"),
            },
        ),
        **norm("norm"),
        **linear("head", 10, D, "head"),
    },
    "convnext": {
        "stem.0.weight": ((D, 3, 4, 4), "conv"),
        "stem.0.bias": ((D,), "bias"),
        **norm("stem.1"),
        **blocks_of(
            "stages.0.blocks.{}.",
            {
                "gamma": ((D,), "layer_scale"),
                "conv_dw.weight": ((D, 1, 7, 7), "conv"),
                "conv_dw.bias": ((D,), "bias"),
                **norm("norm"),
                **linear("mlp.fc1", F, D, "mlp_in"),
                **linear("mlp.fc2", D, F, "mlp_out"),
            },
        ),
        **norm("head.norm"),
        **linear("head.fc", 10, D, "head"),
    },
    "resnet": {
        "conv1.weight": ((16, 3, 7, 7), "conv"),
        **norm("bn1", 16),
        "bn1.running_mean": ((16,), "buffer"),
        "bn1.running_var": ((16,), "buffer"),
        "bn1.num_batches_tracked": ((), "buffer"),
        "layer1.0.conv1.weight": ((16, 16, 3, 3), "conv"),
        **norm("layer1.0.bn1", 16),
        "layer1.0.downsample.0.weight": ((64, 16, 1, 1), "conv"),
        **norm("layer1.0.downsample.1", 64),
        "layer1.0.downsample.1.running_mean": ((64,), "buffer"),
        **linear("fc", 10, 64, "head"),
    },
    "efficientnet": {
        "conv_stem.weight": ((16, 3, 3, 3), "conv"),
        "blocks.0.0.conv_dw.weight": ((16, 1, 3, 3), "conv"),
        **norm("blocks.0.0.bn1", 16),
        "blocks.0.0.se.conv_reduce.weight": ((4, 16, 1, 1), "conv"),
        "blocks.0.0.se.conv_reduce.bias": ((4,), "bias"),
        **linear("classifier", 10, 16, "head"),
    },
    "lora, peft": {
        "base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight": ((D, D), "q"),
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight": (
            (4, D),
            "lora_a",
        ),
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.default.weight": (
            (D, 4),
            "lora_b",
        ),
        "base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight": ((4, D), "lora_a"),
    },
    "mixtral": {
        "model.embed_tokens.weight": ((V, D), "embedding"),
        "model.layers.0.block_sparse_moe.gate.weight": ((8, D), "router"),
        "model.layers.0.block_sparse_moe.experts.7.w1.weight": ((F, D), "mlp_in"),
        "model.layers.0.block_sparse_moe.experts.7.w2.weight": ((D, F), "mlp_out"),
        "model.layers.0.block_sparse_moe.experts.7.w3.weight": ((F, D), "mlp_in"),
    },
    "switch": {
        "encoder.block.1.layer.1.mlp.router.classifier.weight": ((8, D), "router"),
        "encoder.block.1.layer.1.mlp.experts.expert_0.wi.weight": ((F, D), "mlp_in"),
        "encoder.block.1.layer.1.mlp.experts.expert_0.wo.weight": ((D, F), "mlp_out"),
    },
    "gpt-oss, stacked experts": {
        "model.embed_tokens.weight": ((V, D), "embedding"),
        "model.layers.0.mlp.router.weight": ((4, D), "router"),
        "model.layers.0.mlp.experts.gate_up_proj": ((4, D, 2 * F), "mlp_in"),
        "model.layers.0.mlp.experts.gate_up_proj_bias": ((4, 2 * F), "bias"),
        "model.layers.0.mlp.experts.down_proj": ((4, F, D), "mlp_out"),
    },
    "clip": {
        "vision_model.embeddings.class_embedding": ((D,), "token"),
        "vision_model.embeddings.patch_embedding.weight": ((D, 3, 4, 4), "conv"),
        "vision_model.embeddings.position_embedding.weight": ((17, D), "positions"),
        "text_model.embeddings.token_embedding.weight": ((V, D), "embedding"),
        "text_model.encoder.layers.0.self_attn.out_proj.weight": ((D, D), "attention_out"),
        "text_model.encoder.layers.0.mlp.fc1.weight": ((F, D), "mlp_in"),
    },
    "learned queries": {
        "query_tokens": ((1, 8, D), "token"),
        "memory_tokens": ((8, D), "token"),
        "attn.mem_k": ((4, 2, 8), "token"),
        "merger.queries": ((8, D), "token"),
        "attn.queries.weight": ((D, D), "linear"),
        "pos_embed_height": ((8, D), "positions"),
        "positional_emb": ((1, 8, D), "positions"),
        "perceiver_resampler.latents": ((8, D), "token"),
        "spatial_perceiver.latents_2d": ((8, D), "token"),
    },
    "ddp and nothing known": {
        "module.foo.weight": ((D, F), "linear"),
        "module.foo.bias": ((D,), "bias"),
        "module.bar": ((D, F), "linear"),
        "module.kernel": ((D, 3, 3, 3), "conv"),
        "module.temperature": ((), "other"),
        "module.steps": ((7,), "other"),
    },
    "parametrised": {
        "0.weight_orig": ((16, 3, 3, 3), "conv"),
        "0.weight_u": ((16,), "buffer"),
        "0.weight_v": ((27,), "buffer"),
        "1.weight_orig": ((16, 3, 3, 3), "conv"),
        "1.weight_mask": ((16, 3, 3, 3), "buffer"),
        "2.parametrizations.weight.original": ((16, D), "linear"),
        "2.parametrizations.weight.0._u": ((16,), "buffer"),
        "2.parametrizations.weight.0._v": ((D,), "buffer"),
        "3.bias": ((16,), "bias"),
        "3.parametrizations.weight.original": ((16, D), "other"),
        "3.parametrizations.weight.0.base": ((16, D), "buffer"),
        "4.parametrizations.weight.original1": ((16, 3, 128), "conv"),
    },
    "stacks of matrices": {
        "attn.W_Q": ((4, D, 8), "other"),
        "relations": ((5, 6, 7), "other"),
    },
    "names that are no convention": {
        "fc1.weight": ((D, F), "linear"),
        "fc2.weight": ((10, D), "linear"),
        "key.weight": ((D, D), "k"),
    },
}


@pytest.mark.parametrize("family", FAMILIES)
def test_names_and_shapes_give_the_roles(family):
    table = FAMILIES[family]
    found = places(named({name: shape for name, (shape, _) in table.items()}))
    assert {p.name: p.role for p in found} == {name: role for name, (_, role) in table.items()}
    assert all(p.inferred for p in found)
    assert {p.role for p in found} <= set(ROLES)
    assert [p.name for p in found] == list(table)


def place_of(family, name):
    table = FAMILIES[family]
    found = places(named({name: shape for name, (shape, _) in table.items()}))
    return next(p for p in found if p.name == name)


# --- layers, blocks, orientation ----------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_biases_belong_to_the_layer_of_their_weight(family):
    table = FAMILIES[family]
    found = {p.name: p for p in places(named({n: shape for n, (shape, _) in table.items()}))}
    for place in found.values():
        weight = found.get(place.name.removesuffix("bias") + "weight")
        if place.role == "bias" and weight is not None:
            assert place.layer == weight.layer is not None


@pytest.mark.parametrize(
    ("family", "name", "fans", "transposed"),
    [
        ("gpt2, transformers", "transformer.h.0.attn.c_attn.weight", (D, 3 * D), True),
        ("gpt2, transformers", "transformer.h.1.attn.c_proj.weight", (D, D), True),
        ("gpt2, transformers", "transformer.h.0.mlp.c_proj.weight", (4 * D, D), True),
        ("gpt2, transformers", "lm_head.weight", (D, V), False),
        ("nanogpt, compiled", "_orig_mod.transformer.h.0.mlp.c_fc.weight", (D, 4 * D), False),
        ("nanogpt, compiled", "_orig_mod.transformer.h.0.attn.c_proj.weight", (D, D), False),
        ("transformer_lens", "blocks.0.mlp.W_in", (D, F), True),
        ("transformer_lens", "blocks.1.mlp.W_out", (F, D), True),
        ("transformer_lens", "unembed.W_U", (D, V), True),
        ("t5", "encoder.block.0.layer.0.SelfAttention.q.weight", (D, 64), False),
        ("gpt-oss, stacked experts", "model.layers.0.mlp.experts.down_proj", (F, D), True),
        (
            "gpt-oss, stacked experts",
            "model.layers.0.mlp.experts.gate_up_proj",
            (D, 2 * F),
            True,
        ),
        ("resnet", "conv1.weight", (3 * 49, 16 * 49), False),
    ],
)
def test_fans_are_those_of_one_matrix_product(family, name, fans, transposed):
    place = place_of(family, name)
    assert (place.layer.fan_in, place.layer.fan_out) == fans
    assert place.transposed == transposed


def test_depthwise_convolutions_have_a_group_a_channel():
    assert place_of("convnext", "stages.0.blocks.0.conv_dw.weight").layer.groups == D
    assert place_of("efficientnet", "blocks.0.0.conv_dw.weight").layer.effective_fan_out == 9
    grey = places(named({"conv1.weight": (8, 1, 3, 3), "conv2.weight": (8, 1, 3, 3)}))
    assert [place.layer.groups for place in grey] == [1, 8]


def test_a_bias_tells_a_transposed_convolution():
    shapes = {"up.weight": (8, 4, 3, 3), "up.bias": (4,), "conv.weight": (8, 4, 3, 3)}
    up, bias, conv = places(named({**shapes, "conv.bias": (8,)}))[:3]
    assert (up.role, bias.layer.slug, conv.role) == ("conv_transpose", "conv_transpose2d", "conv")
    assert places(named({"deconv1.weight": (8, 4, 3, 3)}))[0].role == "conv_transpose"


def cut(place):
    tensor = torch.arange(torch.Size(place.shape).numel()).reshape(place.shape)
    return {name: tensor[index] for name, index in place.blocks}


@pytest.mark.parametrize("transposed", [False, True])
def test_packed_projections_fall_into_q_k_and_v(transposed):
    shape = (D, 3 * D) if transposed else (3 * D, D)
    shapes = {
        "wte.weight": (V, D),
        "h.0.attn.c_attn.weight": shape,
        "h.0.attn.c_attn.bias": (3 * D,),
    }
    _, weight, bias = places(named(shapes))
    parts = cut(weight)
    assert list(parts) == list(cut(bias)) == ["q", "k", "v"]
    assert all(part.numel() == D * D for part in parts.values())
    joined = torch.cat(list(parts.values()), 1 if transposed else 0)
    assert joined.equal(torch.arange(3 * D * D).reshape(shape))


def test_grouped_queries_have_smaller_keys_and_values():
    parts = cut(place_of("litgpt", "transformer.h.1.attn.qkv.weight"))
    assert {name: len(part) for name, part in parts.items()} == {"q": D, "k": 8, "v": 8}


def test_interleaved_heads_are_not_cut():
    assert not place_of("gpt-neox", "gpt_neox.layers.0.attention.query_key_value.weight").blocks


@pytest.mark.parametrize(
    ("module", "gates"),
    [
        (nn.LSTM(12, 16, 2, bidirectional=True), ["i", "f", "g", "o"]),
        (nn.LSTM(12, 16, proj_size=8), ["i", "f", "g", "o"]),
        (nn.LSTMCell(12, 16), ["i", "f", "g", "o"]),
        (nn.GRU(12, 16), ["r", "z", "n"]),
        (nn.RNN(12, 16), []),
    ],
    ids=["lstm", "projected", "cell", "gru", "rnn"],
)
def test_gates_of_recurrent_layers(module, gates):
    state = {name: (tensor.shape, tensor.dtype) for name, tensor in module.state_dict().items()}
    for source in (module, state):
        for place in places(source):
            assert place.hidden == 16
            if place.role != "recurrent_projection":
                assert list(cut(place)) == gates
                assert all(len(part) == 16 for part in cut(place).values())


def test_stacked_experts_are_judged_one_by_one():
    place = place_of("gpt-oss, stacked experts", "model.layers.0.mlp.experts.down_proj")
    assert list(cut(place)) == [f"expert {i}" for i in range(4)]
    assert cut(place)["expert 2"].shape == (1, F, D)


@pytest.mark.parametrize("padding", [0, 3, 9])
def test_the_row_of_padding_stands_apart(padding):
    [place] = places(nn.Embedding(10, 4, padding_idx=padding))
    parts = cut(place)
    assert len(parts["padding"]) == 1
    assert parts["padding"][0, 0] == 4 * padding
    assert sum(len(part) for part in parts.values()) == 10


# --- depth and sizes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("transformer.h.11.mlp.c_fc.weight", 11),
        ("model.layers.3.mlp.experts.7.w1.weight", 3),
        ("encoder.block.2.layer.1.DenseReluDense.wo.weight", 2),
        ("bert.encoder.layer.5.output.dense.weight", 5),
        ("transformer.wte.weight", None),
        ("conv1.weight", None),
        ("layers." + "9" * 5000 + ".weight", 999_999_999),
    ],
)
def test_depth_is_the_index_of_the_block(name, depth):
    assert places(named({name: (8, 8)}))[0].depth == depth


def test_blocks_of_stages_are_counted_through():
    names = ["layer1.0.conv1", "layer1.1.conv1", "layer2.0.conv1", "layer10.0.conv1"]
    found = places(named({f"{name}.weight": (8, 8, 3, 3) for name in reversed(names)}))
    assert [place.depth for place in found] == [3, 2, 1, 0]
    assert infer_dims(found).L == 4
    swin = [f"layers.{i}.blocks.{j}.attn.qkv.weight" for i in range(2) for j in range(3)]
    assert [p.depth for p in places(named(dict.fromkeys(swin, (24, 8))))] == list(range(6))


def test_layers_of_a_sequential_are_counted_off():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    assert [place.depth for place in places(net)] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("family", "sizes"),
    [
        ("gpt2, transformers", {"d": D, "L": 2, "ff": 4 * D, "vocab": V, "heads": None}),
        ("t5", {"d": D, "L": 2, "heads": 4, "head_dim": 16, "ff": F}),
        ("llama, transformers", {"d": D, "L": 2, "heads": 4, "head_dim": 8, "ff": F}),
        ("vit, timm", {"d": D, "L": 2, "ff": F, "vocab": None}),
        ("litgpt", {"d": D, "L": 2, "vocab": V}),
    ],
)
def test_sizes_of_the_model(family, sizes):
    table = FAMILIES[family]
    dims = infer_dims(places(named({name: shape for name, (shape, _) in table.items()})))
    assert {name: getattr(dims, name) for name in sizes} == sizes
    assert dims.sentence.startswith("Inferred from names and shapes: ")


# --- modules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", DEFAULTS, ids=lambda record: record.module)
def test_types_give_the_layers_of_every_module(record):
    module = construct(record, 0)
    for place in places(module):
        assert not place.inferred
        assert place.role in ROLES
        assert place.modules[0] == type(module).__name__
        if place.layer and place.role not in {"bias", "qkv"} and "_proj_" not in place.name:
            weight = place.layer.weight_shape
            assert place.shape == weight


def test_a_transformer_is_the_same_from_its_types_and_from_its_names():
    module = nn.Transformer(16, 4, 2, 2, 24, batch_first=True)
    state = {name: (tensor.shape, tensor.dtype) for name, tensor in module.state_dict().items()}
    for one, other in zip(places(module), places(state), strict=True):
        for field in ("name", "role", "layer", "blocks", "depth", "stack"):
            assert getattr(one, field) == getattr(other, field)
    assert {place.heads for place in places(module) if "self_attn" in place.name} == {4}


def test_tied_parameters_are_recognised():
    module = nn.ModuleDict({"wte": nn.Embedding(V, D), "lm_head": nn.Linear(D, V, bias=False)})
    module["lm_head"].weight = module["wte"].weight
    first, second = places(module)
    assert (first.tied, second.tied) == (None, "wte.weight")
    assert (first.role, second.role) == ("embedding", "head")


def test_names_refine_what_types_say_and_never_contradict_it():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.q_proj = nn.Linear(4, 4)
            self.lm_head = nn.Conv2d(4, 4, 1)
            self.wte = nn.Linear(4, 4)
            self.norm = nn.Linear(4, 4)
            self.scale = nn.Parameter(torch.ones(3))

    roles = {place.name: place.role for place in places(Odd()) if "bias" not in place.name}
    assert roles == {
        "scale": "other",
        "q_proj.weight": "q",
        "lm_head.weight": "conv",
        "wte.weight": "linear",
        "norm.weight": "linear",
    }


def test_a_class_of_ones_own_may_hold_more_than_its_layer():
    class Scaled(nn.Linear):
        def __init__(self):
            super().__init__(D, 50)
            self.logit_scale = nn.Parameter(torch.ones(50))
            self.lora_A = nn.Parameter(torch.randn(4, D))

    class Gained(nn.Conv2d):
        def __init__(self):
            super().__init__(3, 8, 3)
            self.gain = nn.Parameter(torch.ones(8, 1, 1, 1))

    class Gated(nn.LayerNorm):
        def __init__(self):
            super().__init__(D)
            self.gate = nn.Parameter(torch.zeros(1))

    modules = {"lm_head": Scaled(), "conv": Gained(), "norm": Gated()}
    found = {place.name: place for place in places(nn.ModuleDict(modules))}
    assert {name: (place.role, place.inferred) for name, place in found.items()} == {
        "lm_head.weight": ("head", False),
        "lm_head.bias": ("bias", False),
        "lm_head.logit_scale": ("other", True),
        "lm_head.lora_A": ("lora_a", True),
        "conv.weight": ("conv", False),
        "conv.bias": ("bias", False),
        "conv.gain": ("other", True),
        "norm.weight": ("norm", False),
        "norm.bias": ("norm_bias", False),
        "norm.gate": ("other", False),
    }
    assert found["lm_head.logit_scale"].layer is None
    assert found["lm_head.lora_A"].layer.weight_shape == (4, D)


def test_a_class_that_is_no_norm_may_hold_a_vector():
    class Fourier(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(D))

    class RMSNorm2d(Fourier):
        pass

    found = places(nn.ModuleDict({"time_proj": Fourier(), "scaled": RMSNorm2d()}))
    assert [place.role for place in found] == ["other", "norm"]


@pytest.mark.parametrize(("shape", "role"), [((5, 8, 128), "other"), ((5, 8, 3), "conv")])
def test_a_long_last_axis_is_no_kernel_of_a_class_of_ones_own(shape, role):
    class Relational(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(shape))

    [place] = places(Relational())
    assert (place.role, place.layer is None) == (role, role == "other")
    # A checkpoint does not say whose it is.
    assert places(named({"weight": shape}))[0].role == "conv"


def test_a_long_kernel_of_torchs_own_convolution_is_one():
    conv = nn.Conv1d(8, 8, 128)
    assert [place.role for place in places(conv)] == ["conv", "bias"]
    found = places(nn.utils.parametrizations.weight_norm(conv))
    assert [place.role for place in found] == ["bias", "other", "conv"]


def test_a_lazy_module_is_refused():
    with pytest.raises(InitError, match="weight has no shape yet: run a forward pass"):
        places(nn.Sequential(nn.LazyLinear(4)))


@pytest.mark.parametrize(
    "name",
    ["", ".", "...", "weight", "bias", "0", "a" * 100_000, "layers." * 20_000, "h.-1.x", "\n.\0"],
)
@pytest.mark.parametrize(
    "shape", [(), (0,), (3,), (0, 5), (2, 3), (1, 2, 3), (2, 0, 3, 3), (1,) * 9]
)
@pytest.mark.parametrize("dtype", ["float32", "int64", "float8_e4m3fn", "nonsense"])
def test_any_name_and_shape_has_a_role(name, shape, dtype):
    [place] = places({name: (shape, dtype)})
    assert place.role in ROLES
    assert (place.name, place.shape, place.dtype) == (name, shape, dtype)
    assert infer_dims([place]).heads is None


def test_dtypes_may_be_torchs_own():
    [place] = places({"weight": ((2, 2), torch.bfloat16)})
    assert place.dtype == "bfloat16"
