"""Models of the known families, initialised as their own code does it.

Written from the sources, which each builder names, and not from the recipes: recipes are tested
against them. A builder takes a size of ``SIZES`` and is called under a seeded generator.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn


@dataclass(frozen=True)
class Size:
    d: int
    layers: int
    heads: int
    vocab: int


SIZES = (Size(32, 2, 4, 70), Size(48, 3, 4, 100), Size(64, 4, 8, 120))


class Tree(nn.Module):
    """Modules and parameters under dotted names, as a checkpoint holds them."""

    def __init__(self, parts):
        super().__init__()
        for path, part in parts.items():
            *above, leaf = path.split(".")
            node = self
            for name in above:
                if name not in node._modules:
                    node.add_module(name, nn.Module())
                node = node._modules[name]
            if isinstance(part, nn.Module):
                node.add_module(leaf, part)
            else:
                node.register_parameter(leaf, nn.Parameter(part))


def blocks(pattern, count, make):
    return {f"{pattern}.{i}.{name}": part for i in range(count) for name, part in make(i).items()}


def bare(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


def matrices(module, kinds=(nn.Linear,)):
    return [(name, part) for name, part in module.named_modules() if isinstance(part, kinds)]


def zero_biases(module):
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d) and part.bias is not None:
            nn.init.zeros_(part.bias)


# --- language models ----------------------------------------------------------------------------


def _gpt(size, conv1d=False):
    d = size.d

    def block(_):
        return {
            "ln_1": nn.LayerNorm(d),
            "attn.c_attn": nn.Linear(d, 3 * d),
            "attn.c_proj": nn.Linear(d, d),
            "ln_2": nn.LayerNorm(d),
            "mlp.c_fc": nn.Linear(d, 4 * d),
            "mlp.c_proj": nn.Linear(4 * d, d),
        }

    model = Tree(
        {
            "transformer.wte": nn.Embedding(size.vocab, d),
            "transformer.wpe": nn.Embedding(64, d),
            **blocks("transformer.h", size.layers, block),
            "transformer.ln_f": nn.LayerNorm(d),
            "lm_head": bare(d, size.vocab),
        }
    )
    model.lm_head.weight = model.transformer.wte.weight
    for _, part in matrices(model, (nn.Linear, nn.Embedding)):
        nn.init.normal_(part.weight, std=0.02)
    zero_biases(model)
    return model


def gpt2(size):
    """openai/gpt-2, src/model.py: conv1d w_init_stdev=0.02; wpe 0.01, wte 0.02."""
    model = _gpt(size)
    nn.init.normal_(model.transformer.wpe.weight, std=0.01)
    return model


def nanogpt(size):
    """karpathy/nanoGPT, model.py, GPT.__init__."""
    model = _gpt(size)
    for name, parameter in model.named_parameters():
        if name.endswith("c_proj.weight"):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * size.layers))
    return model


def bert(size):
    """google-research/bert, modeling.py: truncated_normal_initializer(0.02), cut at two std."""
    d, ff = size.d, 4 * size.d

    def block(_):
        return {
            **{f"attention.self.{name}": nn.Linear(d, d) for name in ("query", "key", "value")},
            "attention.output.dense": nn.Linear(d, d),
            "attention.output.LayerNorm": nn.LayerNorm(d),
            "intermediate.dense": nn.Linear(d, ff),
            "output.dense": nn.Linear(ff, d),
            "output.LayerNorm": nn.LayerNorm(d),
        }

    model = Tree(
        {
            "embeddings.word_embeddings": nn.Embedding(size.vocab, d),
            "embeddings.position_embeddings": nn.Embedding(64, d),
            "embeddings.token_type_embeddings": nn.Embedding(2, d),
            "embeddings.LayerNorm": nn.LayerNorm(d),
            **blocks("encoder.layer", size.layers, block),
            "pooler.dense": nn.Linear(d, d),
        }
    )
    for _, part in matrices(model, (nn.Linear, nn.Embedding)):
        nn.init.trunc_normal_(part.weight, std=0.02, a=-0.04, b=0.04)
    zero_biases(model)
    return model


class T5Norm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))


def t5(size, head=lambda d: 1.0):
    """huggingface/transformers, modeling_t5.py, _init_weights; the head untied."""
    d, ff, heads, d_kv = size.d, 3 * size.d, size.heads, 20
    inner = heads * d_kv

    def attention(name):
        return {
            f"{name}.q": bare(d, inner),
            f"{name}.k": bare(d, inner),
            f"{name}.v": bare(d, inner),
            f"{name}.o": bare(inner, d),
        }

    def block(i):
        parts = {**attention("layer.0.SelfAttention"), "layer.0.layer_norm": T5Norm(d)}
        if i == 0:
            parts["layer.0.SelfAttention.relative_attention_bias"] = nn.Embedding(32, heads)
        return {
            **parts,
            "layer.1.DenseReluDense.wi": bare(d, ff),
            "layer.1.DenseReluDense.wo": bare(ff, d),
            "layer.1.layer_norm": T5Norm(d),
        }

    model = Tree(
        {
            "shared": nn.Embedding(size.vocab, d),
            **blocks("encoder.block", size.layers, block),
            "encoder.final_layer_norm": T5Norm(d),
            "lm_head": bare(d, size.vocab),
        }
    )
    stds = {
        "shared": 1.0,
        "lm_head": head(d),
        "q": (d * d_kv) ** -0.5,
        "k": d**-0.5,
        "v": d**-0.5,
        "o": (heads * d_kv) ** -0.5,
        "relative_attention_bias": d**-0.5,
        "wi": d**-0.5,
        "wo": ff**-0.5,
    }
    for name, part in matrices(model, (nn.Linear, nn.Embedding)):
        nn.init.normal_(part.weight, std=stds[name.split(".")[-1]])
    return model


def t5_mesh(size):
    """As T5, with the untied head of Mesh TensorFlow."""
    return t5(size, lambda d: d**-0.5)


def cut_normal(weight, std):
    nn.init.trunc_normal_(weight, std=std, a=-3 * std, b=3 * std)


def _olmo(size):
    d, ff = size.d, 3 * size.d

    def block(_):
        return {
            "attn_norm": nn.RMSNorm(d),
            "att_proj": bare(d, 3 * d),
            "attn_out": bare(d, d),
            "ff_norm": nn.RMSNorm(d),
            "ff_proj": bare(d, 2 * ff),
            "ff_out": bare(ff, d),
        }

    return Tree(
        {
            "transformer.wte": nn.Embedding(size.vocab, d),
            **blocks("transformer.blocks", size.layers, block),
            "transformer.ln_f": nn.RMSNorm(d),
            "transformer.ff_out": bare(d, size.vocab),
        }
    )


def _llama(size):
    """Llama as in transformers, not drawn yet."""
    d, ff = size.d, 3 * size.d

    def block(_):
        return {
            "self_attn.q_proj": bare(d, d),
            "self_attn.k_proj": bare(d, d // 2),
            "self_attn.v_proj": bare(d, d // 2),
            "self_attn.o_proj": bare(d, d),
            "mlp.gate_proj": bare(d, ff),
            "mlp.up_proj": bare(d, ff),
            "mlp.down_proj": bare(ff, d),
            "input_layernorm": nn.RMSNorm(d),
            "post_attention_layernorm": nn.RMSNorm(d),
        }

    return Tree(
        {
            "model.embed_tokens": nn.Embedding(size.vocab, d),
            **blocks("model.layers", size.layers, block),
            "model.norm": nn.RMSNorm(d),
            "lm_head": bare(d, size.vocab),
        }
    )


def llama(size):
    """allenai/OLMo, olmo/model.py, InitFnType.full_megatron with init_std 0.02; Llama's names."""
    model = _llama(size)
    for name, part in matrices(model, (nn.Linear, nn.Embedding)):
        std = 0.02
        if name.endswith(("o_proj", "down_proj")):
            std /= math.sqrt(2.0 * size.layers)
        cut_normal(part.weight, size.d**-0.5 if name == "lm_head" else std)
    return model


def transformers(size):
    """huggingface/transformers, PreTrainedModel._init_weights with initializer_range 0.02."""
    model = _llama(size)
    for _, part in matrices(model, (nn.Linear, nn.Embedding)):
        nn.init.normal_(part.weight, std=0.02)
    return model


def gemma(size):
    """huggingface/transformers, modeling_gemma.py: a norm multiplies by 1 + weight."""
    model = transformers(size)
    for _, norm in matrices(model, nn.RMSNorm):
        nn.init.zeros_(norm.weight)
    return model


def olmo(size):
    """allenai/OLMo, olmo/model.py, InitFnType.mitchell."""
    model = _olmo(size)
    cut_normal(model.transformer.wte.weight, 1 / math.sqrt(size.d))
    cut_normal(model.transformer.ff_out.weight, 1 / math.sqrt(size.d))
    for i, block in enumerate(model.transformer.blocks.children()):
        cut_normal(block.att_proj.weight, 1 / math.sqrt(size.d))
        cut_normal(block.ff_proj.weight, 1 / math.sqrt(size.d))
        cut_normal(block.attn_out.weight, 1 / math.sqrt(2 * size.d * (i + 1)))
        cut_normal(block.ff_out.weight, 1 / math.sqrt(2 * block.ff_out.in_features * (i + 1)))
    return model


def litgpt(size):
    """Lightning-AI/litgpt, litgpt/pretrain.py, initialize_weights."""
    d, ff = size.d, 3 * size.d

    def block(_):
        return {
            "norm_1": nn.RMSNorm(d),
            "attn.qkv": bare(d, 2 * d),
            "attn.proj": bare(d, d),
            "norm_2": nn.RMSNorm(d),
            "mlp.fc_1": bare(d, ff),
            "mlp.fc_2": bare(d, ff),
            "mlp.proj": bare(ff, d),
        }

    model = Tree(
        {
            "lm_head": bare(d, size.vocab),
            "transformer.wte": nn.Embedding(size.vocab, d),
            **blocks("transformer.h", size.layers, block),
            "transformer.ln_f": nn.RMSNorm(d),
        }
    )
    for name, part in matrices(model, (nn.Linear, nn.Embedding)):
        proj = name.endswith("proj")
        std = 1 / math.sqrt(d) / size.layers if proj else math.sqrt(2.0 / 5 / d)
        nn.init.normal_(part.weight, std=std)
    return model


def torchtitan(size, depth_init=True):
    """pytorch/torchtitan, models/llama3, init_weights: truncation left at ±2."""
    d, ff = size.d, 3 * size.d

    def block(_):
        return {
            "attention.wq": bare(d, d),
            "attention.wk": bare(d, d // 2),
            "attention.wv": bare(d, d // 2),
            "attention.wo": bare(d, d),
            "feed_forward.w1": bare(d, ff),
            "feed_forward.w2": bare(ff, d),
            "feed_forward.w3": bare(d, ff),
            "attention_norm": nn.RMSNorm(d),
            "ffn_norm": nn.RMSNorm(d),
        }

    model = Tree(
        {
            "tok_embeddings": nn.Embedding(size.vocab, d),
            **blocks("layers", size.layers, block),
            "norm": nn.RMSNorm(d),
            "output": bare(d, size.vocab),
        }
    )
    nn.init.normal_(model.tok_embeddings.weight)
    cut_normal(model.output.weight, d**-0.5)
    for i, layer in enumerate(model.layers.children()):
        depth = i + 1 if depth_init else size.layers
        for name, part in matrices(layer):
            scaled = name[-2:] in {"wo", "w2", "w3"}
            std = 0.02 / (2 * depth) ** 0.5 if scaled else 0.02
            nn.init.trunc_normal_(part.weight, std=std)
    return model


def torchtitan_flat(size):
    """As torchtitan, with depth_init = False."""
    return torchtitan(size, depth_init=False)


# --- vision -------------------------------------------------------------------------------------


def _vit(size):
    d, ff = size.d, 4 * size.d

    def block(_):
        return {
            "norm1": nn.LayerNorm(d),
            "attn.qkv": nn.Linear(d, 3 * d),
            "attn.proj": nn.Linear(d, d),
            "norm2": nn.LayerNorm(d),
            "mlp.fc1": nn.Linear(d, ff),
            "mlp.fc2": nn.Linear(ff, d),
        }

    model = Tree(
        {
            "cls_token": torch.zeros(1, 1, d),
            "pos_embed": torch.zeros(1, 65, d),
            "patch_embed.proj": nn.Conv2d(3, d, 4, 4),
            **blocks("blocks", size.layers, block),
            "norm": nn.LayerNorm(d),
            "head": nn.Linear(d, 100),
        }
    )
    nn.init.trunc_normal_(model.pos_embed, std=0.02)
    nn.init.normal_(model.cls_token, std=1e-6)
    return model


def vit_timm(size):
    """timm, vision_transformer.py, init_weights_vit_timm: Linears only."""
    model = _vit(size)
    for _, part in matrices(model):
        nn.init.trunc_normal_(part.weight, std=0.02)
        nn.init.zeros_(part.bias)
    return model


def vit_jax(size):
    """timm, vision_transformer.py, init_weights_vit_jax."""
    model = _vit(size)
    for name, part in matrices(model):
        if name == "head":
            nn.init.zeros_(part.weight)
            nn.init.zeros_(part.bias)
        else:
            nn.init.xavier_uniform_(part.weight)
            if "mlp" in name:
                nn.init.normal_(part.bias, std=1e-6)
            else:
                nn.init.zeros_(part.bias)
    conv = model.patch_embed.proj
    # lecun_normal_: variance 1/fan_in after the cut at two std of the parent.
    std = math.sqrt(1 / (3 * 4 * 4)) / 0.87962566103423978
    nn.init.trunc_normal_(conv.weight, std=std, a=-2 * std, b=2 * std)
    nn.init.zeros_(conv.bias)
    return model


def vit_jax_apart(size):
    """As in JAX itself, where q, k and v are three layers."""
    model = vit_jax(size)
    for name, part in matrices(model):
        if name.endswith("qkv"):
            for rows in part.weight.chunk(3):
                nn.init.xavier_uniform_(rows)
    return model


def convnext(size):
    """facebookresearch/ConvNeXt, models/convnext.py: timm's trunc_normal_ of std 0.02."""
    d = size.d

    def block(_):
        return {
            "gamma": 1e-6 * torch.ones(d),
            "dwconv": nn.Conv2d(d, d, 7, padding=3, groups=d),
            "norm": nn.LayerNorm(d),
            "pwconv1": nn.Linear(d, 4 * d),
            "pwconv2": nn.Linear(4 * d, d),
        }

    model = Tree(
        {
            "downsample_layers.0.0": nn.Conv2d(3, d, 4, 4),
            "downsample_layers.0.1": nn.LayerNorm(d),
            **blocks("stages.0", size.layers, block),
            "norm": nn.LayerNorm(d),
            "head": nn.Linear(d, 100),
        }
    )
    for _, part in matrices(model, (nn.Linear, nn.Conv2d)):
        nn.init.trunc_normal_(part.weight, std=0.02)
        nn.init.zeros_(part.bias)
    return model


def efficientnet(size):
    """timm, _efficientnet_builder.py, _init_weight_goog with fix_group_fanout."""
    d = size.d

    def block(_):
        return {
            "conv_pw": nn.Conv2d(d, 4 * d, 1, bias=False),
            "bn1": nn.BatchNorm2d(4 * d),
            "conv_dw": nn.Conv2d(4 * d, 4 * d, 5, groups=4 * d, bias=False),
            "bn2": nn.BatchNorm2d(4 * d),
            "se.conv_reduce": nn.Conv2d(4 * d, d // 4, 1),
            "se.conv_expand": nn.Conv2d(d // 4, 4 * d, 1),
            "conv_pwl": nn.Conv2d(4 * d, d, 1, bias=False),
            "bn3": nn.BatchNorm2d(d),
        }

    model = Tree(
        {
            "conv_stem": nn.Conv2d(3, d, 3, 2, bias=False),
            "bn1": nn.BatchNorm2d(d),
            **blocks("blocks.0", size.layers, block),
            "classifier": nn.Linear(d, 100),
        }
    )
    for _, part in matrices(model, (nn.Conv2d,)):
        fan_out = part.kernel_size[0] * part.kernel_size[1] * part.out_channels // part.groups
        nn.init.normal_(part.weight, std=math.sqrt(2.0 / fan_out))
    bound = 1 / math.sqrt(100)
    nn.init.uniform_(model.classifier.weight, -bound, bound)
    zero_biases(model)
    return model


def resnet(size, zero_gamma=False):
    """pytorch/vision, resnet.py, with the bottleneck of ResNeXt."""
    d = size.d

    def block(_):
        return {
            "conv1": nn.Conv2d(4 * d, d, 1, bias=False),
            "bn1": nn.BatchNorm2d(d),
            "conv2": nn.Conv2d(d, d, 3, groups=4, bias=False),
            "bn2": nn.BatchNorm2d(d),
            "conv3": nn.Conv2d(d, 4 * d, 1, bias=False),
            "bn3": nn.BatchNorm2d(4 * d),
        }

    model = Tree(
        {
            "conv1": nn.Conv2d(3, d, 7, bias=False),
            "bn1": nn.BatchNorm2d(d),
            **blocks("layer1", size.layers, block),
            "layer1.0.downsample.0": nn.Conv2d(d, 4 * d, 1, bias=False),
            "layer1.0.downsample.1": nn.BatchNorm2d(4 * d),
            "fc": nn.Linear(4 * d, 100),
        }
    )
    for _, part in matrices(model, (nn.Conv2d,)):
        nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
    if zero_gamma:
        for part in model.layer1.children():
            nn.init.zeros_(part.bn3.weight)
    return model


def resnet_zero_gamma(size):
    """zero_init_residual = True."""
    return resnet(size, zero_gamma=True)


def dcgan(size):
    """pytorch/examples, dcgan/main.py, weights_init of the generator."""
    d = size.d
    model = nn.Module()
    model.main = nn.Sequential(
        nn.ConvTranspose2d(50, 4 * d, 4, bias=False),
        nn.BatchNorm2d(4 * d),
        nn.ReLU(),
        nn.ConvTranspose2d(4 * d, d, 4, 2, 1, bias=False),
        nn.BatchNorm2d(d),
        nn.ReLU(),
        nn.Conv2d(d, 3, 3, bias=False),
    )
    for part in model.main:
        if isinstance(part, nn.ConvTranspose2d | nn.Conv2d):
            nn.init.normal_(part.weight, 0.0, 0.02)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.02)
            nn.init.zeros_(part.bias)
    return model


def fixup(size, bottleneck=False):
    """hongyi-zhang/Fixup, fixup_resnet_cifar.py; with a bottleneck, fixup_resnet_imagenet.py."""
    d, last = size.d // 2, 3 if bottleneck else 2

    def block(_):
        parts = {}
        for i in range(1, last + 1):
            parts |= {
                f"bias{i}a": torch.zeros(1),
                f"conv{i}": nn.Conv2d(d, d, 3, bias=False),
                f"bias{i}b": torch.zeros(1),
            }
        return parts | {"scale": torch.ones(1)}

    model = Tree(
        {
            "conv1": nn.Conv2d(3, d, 3, bias=False),
            "bias1": torch.zeros(1),
            **blocks("layer1", size.layers, block),
            **blocks("layer2", size.layers, block),
            "layer2.0.downsample": nn.Conv2d(d, d, 1, bias=False),
            "bias2": torch.zeros(1),
            "fc": nn.Linear(d, 100),
        }
    )
    count = 2 * size.layers
    for layer in (model.layer1, model.layer2):
        for part in layer.children():
            for i in range(1, last):
                weight = getattr(part, f"conv{i}").weight
                std = math.sqrt(2 / (weight.shape[0] * math.prod(weight.shape[2:])))
                nn.init.normal_(weight, std=std * count ** (-0.25 if bottleneck else -0.5))
            nn.init.zeros_(getattr(part, f"conv{last}").weight)
    nn.init.normal_(model.layer2.get_submodule("0").downsample.weight, std=math.sqrt(2 / d))
    nn.init.zeros_(model.fc.weight)
    nn.init.zeros_(model.fc.bias)
    return model


def fixup_bottleneck(size):
    """Three convolutions a block."""
    return fixup(size, bottleneck=True)


# --- others -------------------------------------------------------------------------------------


def siren(size):
    """vsitzmann/siren, modules.py: sine_init, then first_layer_sine_init."""
    widths = [3, *[4 * size.d] * size.layers, 1]
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    model = Tree({f"net.net.{i}.0": layer for i, layer in enumerate(layers)})
    for i, layer in enumerate(layers):
        inputs = layer.weight.shape[-1]
        bound = math.sqrt(6 / inputs) / 30 if i else 1 / inputs
        nn.init.uniform_(layer.weight, -bound, bound)
    return model


def ppo(size):
    """DLR-RM/stable-baselines3, common/policies.py, ActorCriticPolicy._build."""
    d = 2 * size.d

    def net(name):
        return {
            f"mlp_extractor.{name}.0": nn.Linear(9, d),
            f"mlp_extractor.{name}.2": nn.Linear(d, d),
        }

    model = Tree(
        {
            "log_std": torch.zeros(6),
            **net("policy_net"),
            **net("value_net"),
            "action_net": nn.Linear(d, 6),
            "value_net": nn.Linear(d, 1),
        }
    )
    gains = {"mlp_extractor": math.sqrt(2), "action_net": 0.01, "value_net": 1.0}
    for name, part in matrices(model):
        nn.init.orthogonal_(part.weight, gains[name.split(".")[0]])
        nn.init.zeros_(part.bias)
    return model


def irnn(size):
    """Le, Jaitly & Hinton 2015, section 4."""
    model = nn.ModuleDict(
        {"rnn": nn.RNN(9, size.d, nonlinearity="relu"), "out": nn.Linear(size.d, 100)}
    )
    for name, parameter in model.named_parameters():
        if name == "rnn.weight_hh_l0":
            nn.init.eye_(parameter)
        elif "bias" in name:
            nn.init.zeros_(parameter)
        else:
            nn.init.normal_(parameter, std=0.001)
    return model


def delta_orthogonal(size):
    """jax, nn/initializers.py, delta_orthogonal: an orthogonal matrix at the centre of zeros."""
    widths = [3, size.d, size.d, 2 * size.d]
    kernels = (3, 5, 3)
    layers = [nn.Conv2d(a, b, k) for (a, b), k in zip(pairwise(widths), kernels, strict=True)]
    for layer, kernel in zip(layers, kernels, strict=True):
        outputs, inputs = layer.weight.shape[:2]
        q, r = torch.linalg.qr(torch.randn(outputs, inputs))
        nn.init.zeros_(layer.weight)
        centre = (kernel - 1) // 2
        layer.weight.detach()[:, :, centre, centre] = q * r.diagonal().sign()
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def selu(size):
    """Klambauer et al. 2017: variance 1/n, biases 0."""
    widths = [50, *[2 * size.d] * size.layers, 10]
    model = nn.Sequential(*map(nn.Linear, widths, widths[1:]))
    for layer in model:
        nn.init.normal_(layer.weight, std=math.sqrt(1 / layer.in_features))
        nn.init.zeros_(layer.bias)
    return model


# Builder and the slug of the recipe it must satisfy.
FAMILIES = {
    builder.__name__: (builder, slug)
    for builder, slug in [
        (gpt2, "gpt2"),
        (nanogpt, "nanogpt"),
        (bert, "bert"),
        (t5, "t5"),
        (t5_mesh, "t5"),
        (llama, "llama"),
        (transformers, "transformers"),
        (gemma, "transformers"),
        (olmo, "olmo"),
        (litgpt, "litgpt"),
        (torchtitan, "torchtitan"),
        (torchtitan_flat, "torchtitan"),
        (vit_timm, "vit_timm"),
        (vit_jax, "vit_jax"),
        (vit_jax_apart, "vit_jax"),
        (convnext, "convnext"),
        (efficientnet, "efficientnet"),
        (resnet, "resnet"),
        (resnet_zero_gamma, "resnet"),
        (dcgan, "dcgan"),
        (fixup, "fixup"),
        (fixup_bottleneck, "fixup"),
        (siren, "siren"),
        (ppo, "ppo"),
        (irnn, "irnn"),
        (delta_orthogonal, "delta_orthogonal"),
        (selu, "selu"),
    ]
}
