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
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight": ((4, D), "lora_a"),
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.default.weight": ((D, 4), "lora_b"),
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
    "ddp and nothing known": {
        "module.foo.weight": ((D, F), "linear"),
        "module.foo.bias": ((D,), "bias"),
        "module.bar": ((D, F), "linear"),
        "module.kernel": ((D, 3, 3, 3), "conv"),
        "module.temperature": ((), "other"),
        "module.steps": ((7,), "other"),
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
