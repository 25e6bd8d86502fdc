"""Bugs: initialisations that went wrong in real projects, each with its mended twin.

>>> from initcore.audit import audit
>>> bug = get_bug("packed_qkv")
>>> [finding.code for finding in audit(bug.build(0), bug.recipe).findings]
['packed']

A record of ``BUGS`` makes a model with the fault of the thread it names, at the scale the fault had
there, and the same model without it. ``INTENDED`` holds what was reported as a bug and is none:
zeros that are meant. Widths are smaller than the originals'; the ratios of the fault are the same,
and the faulty line is the original's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from initcore.draw import torch_seeded
from initcore.errors import InitError
from initcore.models import build_model
from initcore.recipes import Recipe, apply_recipe, parse_recipe

State = dict[str, Tensor]
Source = nn.Module | State
Build = Callable[[int], Source]


@dataclass(frozen=True)
class Example:
    """A model to audit, and what people said of it.

    slug: its name. title: in a few words. threads: where it was reported, as "owner/name #number".
    story: what happened, in a sentence. build: the model, from a seed. recipe: a slug or a record
    to audit it with; None where the audit needs none.
    """

    slug: str
    title: str
    threads: tuple[str, ...]
    story: str
    build: Build
    recipe: str | Recipe | None


@dataclass(frozen=True)
class Bug(Example):
    """A fault that an audit finds.

    mend: the model without it. code: of the finding, see ``audit.CODES``. cause: words that its
    cause holds. tensors: a regular expression for the names of all tensors it finds, and of no
    others. against: the checkpoint to compare with, where the fault is in loading.
    """

    mend: Build
    code: str
    cause: str
    tensors: str
    against: Build | None = None


def get_bug(slug: str) -> Bug:
    """The record of ``BUGS`` with this slug; raises InitError naming the allowed ones."""
    for bug in BUGS:
        if bug.slug == slug:
            return bug
    raise InitError(f"bug {slug[:40]!r} is not one of: {', '.join(bug.slug for bug in BUGS)}")


# --- models in the names of their families ------------------------------------------------------

Shapes = dict[str, tuple[int, ...]]
Fill = Callable[[str, Tensor, torch.Generator], object]


def _filled(shapes: Shapes, seed: int, fill: Fill) -> State:
    """A state dict: norms 1, biases 0, and every matrix as ``fill`` draws it."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        state[name] = torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
        if len(shape) > 1:
            fill(name, state[name], generator)
    return state


def _normal(std: float) -> Fill:
    return lambda name, tensor, generator: tensor.normal_(0, std, generator=generator)


def _cut(std: float, cut: float) -> Fill:
    """A truncated normal whose bounds are given as they stand, in units of the weights."""

    def fill(name: str, tensor: Tensor, generator: torch.Generator) -> None:
        nn.init.trunc_normal_(tensor, 0, std, -cut, cut, generator=generator)

    return fill


def _bert(d: int = 256, blocks: int = 4) -> Shapes:
    """BERT in the names of transformers; vocabulary and context are cut short."""
    shapes: Shapes = {
        "bert.embeddings.word_embeddings.weight": (1000, d),
        "bert.embeddings.position_embeddings.weight": (128, d),
        "bert.embeddings.token_type_embeddings.weight": (2, d),
        "bert.embeddings.LayerNorm.weight": (d,),
        "bert.embeddings.LayerNorm.bias": (d,),
    }
    for i in range(blocks):
        at = f"bert.encoder.layer.{i}"
        matrices = {
            "attention.self.query": (d, d),
            "attention.self.key": (d, d),
            "attention.self.value": (d, d),
            "attention.output.dense": (d, d),
            "intermediate.dense": (4 * d, d),
            "output.dense": (d, 4 * d),
        }
        for name, shape in matrices.items():
            shapes |= {f"{at}.{name}.weight": shape, f"{at}.{name}.bias": shape[:1]}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{at}.{name}.weight": (d,), f"{at}.{name}.bias": (d,)}
    return shapes | {"bert.pooler.dense.weight": (d, d), "bert.pooler.dense.bias": (d,)}


def _gpt2(d: int = 256, blocks: int = 6) -> Shapes:
    """GPT-2 in the names of transformers, whose Conv1D stores its matrices as (in, out)."""
    shapes: Shapes = {"transformer.wte.weight": (1000, d), "transformer.wpe.weight": (128, d)}
    for i in range(blocks):
        at = f"transformer.h.{i}"
        matrices = {
            "attn.c_attn": (d, 3 * d),
            "attn.c_proj": (d, d),
            "mlp.c_fc": (d, 4 * d),
            "mlp.c_proj": (4 * d, d),
        }
        for name, shape in matrices.items():
            shapes |= {f"{at}.{name}.weight": shape, f"{at}.{name}.bias": shape[1:]}
        for name in ("ln_1", "ln_2"):
            shapes |= {f"{at}.{name}.weight": (d,), f"{at}.{name}.bias": (d,)}
    return shapes | {"transformer.ln_f.weight": (d,), "transformer.ln_f.bias": (d,)}


def _llama(d: int = 256, blocks: int = 4, ff: int = 688) -> Shapes:
    """Llama in the names of its release and of torchtitan, with its head apart."""
    shapes: Shapes = {"tok_embeddings.weight": (1000, d)}
    for i in range(blocks):
        at = f"layers.{i}"
        shapes |= {f"{at}.attention.{name}.weight": (d, d) for name in ("wq", "wk", "wv", "wo")}
        shapes |= {
            f"{at}.feed_forward.w1.weight": (ff, d),
            f"{at}.feed_forward.w2.weight": (d, ff),
            f"{at}.feed_forward.w3.weight": (ff, d),
            f"{at}.attention_norm.weight": (d,),
            f"{at}.ffn_norm.weight": (d,),
        }
    return shapes | {"norm.weight": (d,), "output.weight": (1000, d)}


def _torchtitan(blocks: int = 4) -> Fill:
    """The laws of torchtitan's init_weights, by its names."""

    def fill(name: str, tensor: Tensor, generator: torch.Generator) -> None:
        std, cut = 0.02, 2.0
        if name.startswith("tok_"):
            tensor.normal_(generator=generator)
            return
        if name.startswith("output"):
            std = tensor.shape[1] ** -0.5
            cut = 3 * std
        elif name.endswith(("wo.weight", "w2.weight", "w3.weight")):
            std = 0.02 / math.sqrt(2 * blocks)
        nn.init.trunc_normal_(tensor, 0, std, -cut, cut, generator=generator)

    return fill


def _experts(d: int = 256, blocks: int = 4, ff: int = 128, experts: int = 8) -> Shapes:
    """A mixture of experts in the names of transformers, experts stacked as (expert, in, out)."""
    shapes: Shapes = {"model.embed_tokens.weight": (1000, d)}
    for i in range(blocks):
        at = f"model.layers.{i}"
        shapes |= {f"{at}.self_attn.{n}_proj.weight": (d, d) for n in ("q", "k", "v", "o")}
        shapes |= {
            f"{at}.mlp.gate.weight": (experts, d),
            f"{at}.mlp.experts.gate_up_proj": (experts, d, 2 * ff),
            f"{at}.mlp.experts.down_proj": (experts, ff, d),
            f"{at}.input_layernorm.weight": (d,),
            f"{at}.post_attention_layernorm.weight": (d,),
        }
    return shapes | {"model.norm.weight": (d,)}


def _megatron(blocks: int = 4) -> Fill:
    """N(0, 0.02²), and 0.02/√(2L) into the residual stream, as Megatron and nanoGPT have it."""

    def fill(name: str, tensor: Tensor, generator: torch.Generator) -> None:
        out = any(part in name for part in ("o_proj", "down_proj", "c_proj"))
        tensor.normal_(0, 0.02 / math.sqrt(2 * blocks) if out else 0.02, generator=generator)

    return fill


def _moved(state: Mapping[str, Tensor], seed: int) -> State:
    """Stands for a trained model: training adds a few large directions to every matrix."""
    generator = torch.Generator().manual_seed(seed + 1)
    moved = {}
    for name, tensor in state.items():
        if tensor.dim() == 1:
            moved[name] = tensor + 0.05 * torch.randn(len(tensor), generator=generator)
            continue
        matrix = tensor.reshape(-1, tensor.shape[-1])
        rows = torch.randn(len(matrix), 4, generator=generator)
        columns = torch.randn(4, matrix.shape[1], generator=generator)
        moved[name] = (matrix + tensor.std() * rows @ columns).reshape(tensor.shape)
    return moved


# --- transformers -------------------------------------------------------------------------------


def _attention(seed: int) -> nn.MultiheadAttention:
    with torch_seeded(seed):
        return nn.MultiheadAttention(256, 8)


@torch.no_grad()
def _attention_by_thirds(seed: int) -> nn.MultiheadAttention:
    module, generator = _attention(seed), torch.Generator().manual_seed(seed + 1)
    for third in module.in_proj_weight.chunk(3):
        nn.init.xavier_uniform_(third, generator=generator)
    return module


def _encoder(seed: int) -> nn.TransformerEncoder:
    with torch_seeded(seed):
        layer = nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True)
        return nn.TransformerEncoder(layer, 4)


def _encoder_anew(seed: int) -> nn.Module:
    module = _encoder(seed)
    apply_recipe(module, "torch", seed)
    return module


def _gpt2_drawn(seed: int) -> State:
    return _filled(_gpt2(), seed, _megatron(blocks=6))


def _gpt2_unscaled(seed: int) -> State:
    return _filled(_gpt2(), seed, _normal(0.02))


def _bert_drawn(seed: int) -> State:
    return _filled(_bert(), seed, _cut(0.02, 0.04))


# The layers of a new version of a model, which its checkpoint does not have yet.
_NEW = "bert.encoder.layer.3."


def _loaded(seed: int, new: Fill) -> State:
    """BERT after from_pretrained: all trained, but for a block whose keys were missing."""
    drawn = _bert_drawn(seed)
    state = _moved(drawn, seed)
    missing = {name: tuple(t.shape) for name, t in drawn.items() if name.startswith(_NEW)}
    return state | _filled(missing, seed + 2, new)


def _default(name: str, tensor: Tensor, generator: torch.Generator) -> None:
    nn.init.kaiming_uniform_(tensor, a=math.sqrt(5), generator=generator)


def _memory(name: str, tensor: Tensor, generator: torch.Generator) -> None:
    """What torch.empty leaves: here the bits of what was in memory before, read as floats."""
    bits = torch.randint(-(2**31), 2**31, tensor.shape, generator=generator, dtype=torch.int64)
    tensor.copy_(bits.to(torch.int32).view(torch.float32))


def _coca(d: int = 256, blocks: int = 3) -> Shapes:
    """The text decoder of CoCa in the names of open_clip; the vocabulary is cut short."""
    shapes: Shapes = {}
    for at in (f"{stack}.{i}" for stack in ("resblocks", "cross_attn") for i in range(blocks)):
        shapes |= {
            f"{at}.ln_1.weight": (d,),
            f"{at}.ln_1.bias": (d,),
            f"{at}.attn.in_proj_weight": (3 * d, d),
            f"{at}.attn.in_proj_bias": (3 * d,),
            f"{at}.attn.out_proj.weight": (d, d),
            f"{at}.attn.out_proj.bias": (d,),
            f"{at}.ln_2.weight": (d,),
            f"{at}.ln_2.bias": (d,),
            f"{at}.mlp.c_fc.weight": (4 * d, d),
            f"{at}.mlp.c_fc.bias": (4 * d,),
            f"{at}.mlp.c_proj.weight": (d, 4 * d),
            f"{at}.mlp.c_proj.bias": (d,),
        }
    return shapes | {"text_projection": (d, 1000)}


def _coca_never_drawn(seed: int) -> State:
    """As the constructors leave it: what torch's modules draw, and torch.empty."""

    def fill(name: str, tensor: Tensor, generator: torch.Generator) -> None:
        if name.endswith("in_proj_weight"):
            nn.init.xavier_uniform_(tensor, generator=generator)
        else:
            (_memory if name == "text_projection" else _default)(name, tensor, generator)

    return _filled(_coca(), seed, fill)


def _coca_drawn(seed: int) -> State:
    """As init_parameters would have drawn it."""

    def fill(name: str, tensor: Tensor, generator: torch.Generator) -> None:
        d, blocks = 256, 3
        std = d**-0.5
        if name.endswith("c_fc.weight"):
            std = (2 * d) ** -0.5
        elif name.endswith(("out_proj.weight", "c_proj.weight")):
            std *= (2 * blocks) ** -0.5
        tensor.normal_(0, std, generator=generator)

    return _filled(_coca(), seed, fill)


def _head_of_one(seed: int) -> State:
    """Llama with the head drawn by the embedding's line."""

    def fill(name: str, tensor: Tensor, generator: torch.Generator) -> None:
        _torchtitan()(name.replace("output", "tok_"), tensor, generator)

    return _filled(_llama(), seed, fill)


def _llama_drawn(seed: int) -> State:
    return _filled(_llama(), seed, _torchtitan())


def _tied(std: float) -> Build:
    """A GPT with its head tied to an embedding of this std."""

    def build(seed: int) -> nn.Module:
        module = build_model("gpt", seed=seed, width=256, heads=8, vocab=2000)
        nn.init.normal_(
            module.get_parameter("transformer.wte.weight"),
            std=std,
            generator=torch.Generator().manual_seed(seed),
        )
        return module

    return build


def _clamping(name: str, tensor: Tensor, generator: torch.Generator) -> None:
    """Torch's trunc_normal_ before 2.12, line by line, for mean 0, std 0.02 and bounds ±2."""
    std, low, high = 0.02, -2.0, 2.0

    def cdf(x: float) -> float:
        return (1 + math.erf(x / math.sqrt(2))) / 2

    tensor.uniform_(2 * cdf(low / std) - 1, 2 * cdf(high / std) - 1, generator=generator)
    tensor.erfinv_().mul_(std * math.sqrt(2)).clamp_(low, high)


def _stray(seed: int) -> State:
    """A Llama of which one draw hit the end: chance alone takes 16 million values for that."""
    state = _llama_drawn(seed)
    state["layers.1.feed_forward.w1.weight"].view(-1)[seed % 1000] = -2.0
    return state


def _in_bfloat16(matrix: Fill) -> Build:
    """A Llama drawn in bfloat16, the matrices of std 0.02 by ``matrix``."""

    def build(seed: int) -> State:
        laws = _torchtitan(blocks=2)

        def fill(name: str, tensor: Tensor, generator: torch.Generator) -> None:
            half = tensor.bfloat16()
            own = matrix if name.endswith(("wq.weight", "wk.weight", "wv.weight")) else laws
            own(name, half, generator)
            tensor.copy_(half)

        state = _filled(_llama(d=128, blocks=2, ff=344), seed, fill)
        return {name: tensor.bfloat16() for name, tensor in state.items()}

    return build


def _mitchell(name: str, tensor: Tensor, generator: torch.Generator) -> None:
    """OLMo's laws, by the names of Llama."""
    std = 256**-0.5
    if name.endswith(("wo.weight", "w2.weight")):
        block = int(name.split(".")[1])
        std = (2 * tensor.shape[1] * (block + 1)) ** -0.5
    nn.init.trunc_normal_(tensor, 0, std, -3 * std, 3 * std, generator=generator)


def _sharded(seed: int) -> State:
    """Four ranks draw their rows of each matrix from one seed."""

    def fill(name: str, tensor: Tensor, generator: torch.Generator) -> None:
        start = generator.get_state()
        for shard in tensor.chunk(4):
            generator.set_state(start)
            _mitchell(name, shard, generator)

    return _filled(_llama(), seed, fill)


def _olmo_drawn(seed: int) -> State:
    return _filled(_llama(), seed, _mitchell)


def _one_initializer(seed: int) -> State:
    """One initializer with a seed, called for every tensor: it begins anew each time."""

    def fill(name: str, tensor: Tensor, generator: torch.Generator) -> None:
        _cut(0.02, 0.04)(name, tensor, generator.manual_seed(seed))

    return _filled(_bert(), seed, fill)


def _conv1d(stored: bool) -> Build:
    """GPT-2's Conv1D drawn by nn.Linear's line, its fans read off the shape as stored or not."""

    def fill(name: str, tensor: Tensor, generator: torch.Generator) -> None:
        if "wte" in name or "wpe" in name:
            tensor.normal_(generator=generator)
        else:
            _default(name, tensor if stored else tensor.T, generator)

    def build(seed: int) -> State:
        state = _filled(_gpt2(), seed, fill)
        generator = torch.Generator().manual_seed(seed + 1)
        for name, weight in list(state.items()):
            if weight.dim() > 1 and ".h." in name:
                bias = state[name.replace("weight", "bias")]
                bound = weight.shape[1 if stored else 0] ** -0.5
                bias.uniform_(-bound, bound, generator=generator)
        return state

    return build


def _tiny_experts(seed: int) -> State:
    def fill(name: str, tensor: Tensor, generator: torch.Generator) -> None:
        if ".experts." in name:
            tensor.uniform_(-0.001, 0.001, generator=generator)
        else:
            _megatron()(name, tensor, generator)

    return _filled(_experts(), seed, fill)


def _experts_drawn(seed: int) -> State:
    return _filled(_experts(), seed, _megatron())


def _vit_trained(seed: int) -> State:
    return _moved(_vit(seed).state_dict(), seed)


def _vit(seed: int) -> nn.Module:
    return build_model("vit", seed=seed, width=192, heads=3, blocks=4)


# --- convolutions -------------------------------------------------------------------------------


def _inverted(width: int) -> nn.Module:
    """An inverted residual block of MobileNet: expand, one filter a channel, project."""
    wide = 6 * width
    parts = {
        "conv_pw": nn.Conv2d(width, wide, 1, bias=False),
        "bn1": nn.BatchNorm2d(wide),
        "conv_dw": nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False),
        "bn2": nn.BatchNorm2d(wide),
        "conv_pwl": nn.Conv2d(wide, width, 1, bias=False),
        "bn3": nn.BatchNorm2d(width),
    }
    module = nn.Module()
    for name, part in parts.items():
        module.add_module(name, part)
    return module


def _mobilenet(seed: int) -> nn.Module:
    with torch_seeded(seed):
        module = nn.Module()
        module.conv_stem = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        module.bn1 = nn.BatchNorm2d(32)
        module.blocks = nn.Sequential(*(_inverted(32) for _ in range(3)))
        module.classifier = nn.Linear(32, 100)
    apply_recipe(module, "efficientnet", seed)
    return module


@torch.no_grad()
def _mobilenet_by_torch(seed: int) -> nn.Module:
    """Every convolution by kaiming_normal_, whose fan_out knows nothing of groups."""
    module, generator = _mobilenet(seed), torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(
                part.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
    return module


def _resnext(seed: int) -> nn.Sequential:
    """Two bottlenecks of ResNeXt, with 32 groups."""
    with torch_seeded(seed):
        return nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(256, 128, 1, bias=False),
                    nn.Conv2d(128, 128, 3, padding=1, groups=32, bias=False),
                    nn.Conv2d(128, 256, 1, bias=False),
                )
                for _ in range(2)
            )
        )


@torch.no_grad()
def _resnext_all_groups(seed: int) -> nn.Module:
    """Every bound 1/√(in·k²), of all input channels."""
    module, generator = _resnext(seed), torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            bound = (part.in_channels * math.prod(part.kernel_size)) ** -0.5
            part.weight.uniform_(-bound, bound, generator=generator)
    return module


def _resnet(seed: int) -> nn.Module:
    return build_model("cnn", seed=seed, width=32)


@torch.no_grad()
def _resnet_root(seed: int) -> nn.Module:
    """2/√n for √(2/n), n = k²·out."""
    module, generator = _resnet(seed), torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            n = math.prod(part.kernel_size) * part.out_channels
            part.weight.normal_(0, 2 / math.sqrt(n), generator=generator)
    return module


_VOCODER = parse_recipe(
    """
title = "HiFi-GAN"
source = "jik876/hifi-gan, utils.py, init_weights"

[[rule]]
role = "conv|conv_transpose"
name = ".*original1"
law = "normal"
std = "0.01"
note = "The direction v of a weight-normed convolution; its length is apart."
""",
    "hifigan.toml",
)


def _vocoder(weight_norm_first: bool) -> Build:
    """A stack of HiFi-GAN's convolutions, N(0, 0.01²) by a call before or after weight_norm."""

    def build(seed: int) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        with torch_seeded(seed), torch.no_grad():
            layers = [nn.Conv1d(128, 128, 7, padding=3) for _ in range(4)]
            for layer in layers:
                if weight_norm_first:
                    parametrizations.weight_norm(layer)
                layer.weight.normal_(0, 0.01, generator=generator)
                if not weight_norm_first:
                    parametrizations.weight_norm(layer)
        return nn.Sequential(*layers)

    return build


# --- the rest -----------------------------------------------------------------------------------


def _lstm(both: bool) -> Build:
    """An LSTM whose forget gates start open."""

    def build(seed: int) -> nn.Module:
        with torch_seeded(seed):
            module = nn.LSTM(128, 256, 2)
        with torch.no_grad():
            for name, bias in module.named_parameters():
                if name.startswith("bias"):
                    bias.zero_()
                if name.startswith("bias_ih") or (both and name.startswith("bias")):
                    bias[256:512] = 1.0
        return module

    return build


def _selu(corrected: bool) -> Build:
    """A self-normalising MLP by a truncated normal of std 1/√fan_in before or after its cut."""

    def build(seed: int) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        with torch_seeded(seed):
            module = nn.Sequential(*(nn.Linear(256, 256) for _ in range(6)), nn.Linear(256, 10))
        for layer in module:
            assert isinstance(layer, nn.Linear)
            std = layer.in_features**-0.5 / (0.87962566103423978 if corrected else 1.0)
            nn.init.trunc_normal_(layer.weight, 0, std, -2 * std, 2 * std, generator=generator)
            nn.init.zeros_(layer.bias)
        return module

    return build


BUGS: tuple[Bug, ...] = (
    Bug(
        "packed_qkv",
        "Xavier over packed q, k and v",
        ("pytorch/pytorch #166378",),
        "MultiheadAttention draws in_proj_weight, three matrices in one, by Xavier's formula with "
        "fan_out = 3E, so that each starts √2 too small; torch still does.",
        _attention,
        None,
        _attention_by_thirds,
        "packed",
        "q, k and v are packed",
        r"in_proj_weight",
    ),
    Bug(
        "copied_layers",
        "Encoder layers that are copies of one",
        ("pytorch/pytorch #86274", "pytorch/pytorch #72253"),
        "TransformerEncoder deep-copies the layer it is given: all blocks start bit-identical; "
        "torch still does.",
        _encoder,
        "torch",
        _encoder_anew,
        "identical",
        "copies of one layer: 4 layers",
        r"layers\.\d\..*(in_proj_weight|out_proj\.weight|linear\d\.(weight|bias))",
    ),
    Bug(
        "depth_scaling_lost",
        "GPT-2 without its depth scaling",
        ("huggingface/transformers #47458",),
        "The projections into the residual stream are meant to be drawn with std 0.02/√(2L); the "
        "line that scales them was never reached, and they keep 0.02.",
        _gpt2_unscaled,
        "nanogpt",
        _gpt2_drawn,
        "scale",
        "the depth scaling 1/√(2L) was never applied",
        r"transformer\.h\.\d\.(attn|mlp)\.c_proj\.weight",
    ),
    Bug(
        "missing_keys_default",
        "Missing keys keep torch's default",
        ("huggingface/transformers #35437",),
        "A checkpoint lacks the keys of some layers; from_pretrained skips their initialisation "
        "and leaves what the constructor drew.",
        lambda seed: _loaded(seed, _default),
        "bert",
        lambda seed: _loaded(seed, _cut(0.02, 0.04)),
        "scale",
        "torch's default was never replaced",
        r"bert\.encoder\.layer\.3\..*(query|key|value|dense)\.weight",
    ),
    Bug(
        "missing_keys_memory",
        "Missing keys keep uninitialised memory",
        ("huggingface/transformers #35437", "huggingface/transformers #30374"),
        "The same, with modules made by torch.empty: the values are what the memory held before.",
        lambda seed: _loaded(seed, _memory),
        None,
        _bert_drawn,
        "garbage",
        "uninitialised memory",
        r"bert\.encoder\.layer\.3\..*(query|key|value|dense)\.weight",
    ),
    Bug(
        "init_never_called",
        "An initialisation that is never called",
        ("mlfoundations/open_clip #551",),
        "The text decoder of CoCa has an init_parameters that nothing calls: its projection stays "
        "what torch.empty found in memory, all else stays torch's default.",
        _coca_never_drawn,
        None,
        _coca_drawn,
        "garbage",
        "uninitialised memory",
        r"text_projection",
    ),
    Bug(
        "head_as_embedding",
        "A head drawn as an embedding",
        ("huggingface/transformers #26441", "Modalities/modalities #456"),
        "The output head gets the embedding's std of 1 instead of 1/√d: logits start √d too large.",
        _head_of_one,
        "torchtitan",
        _llama_drawn,
        "scale",
        "√d too large",
        r"output\.weight",
    ),
    Bug(
        "tied_head",
        "A head tied to an embedding of std 1",
        ("pytorch/torchtitan #2342",),
        "With tied weights the embedding's N(0, 1) is the head's, too: logits start with std √d.",
        _tied(1.0),
        None,
        _tied(256**-0.5),
        "head",
        "√d too large",
        r"transformer\.wte\.weight",
    ),
    Bug(
        "clamped_truncation",
        "A truncated normal with spikes at its bounds",
        ("pytorch/torchtitan #2269", "pytorch/pytorch #145498"),
        "trunc_normal_ drew by the inverse of the error function, which is infinite where bfloat16 "
        "rounds to ±1, and clamped: one value in 500 was −2 at std 0.02, until torch 2.12.",
        _in_bfloat16(_clamping),
        "torchtitan",
        _in_bfloat16(_cut(0.02, 2.0)),
        "spikes",
        "clamped",
        r"layers\.\d\.attention\.w[qkv]\.weight",
    ),
    Bug(
        "stray_bound",
        "A weight of −2 among those of std 0.02",
        ("pytorch/pytorch #155588", "pytorch/pytorch #174997"),
        "In float32 trunc_normal_ hits the end of its uniform draw once in 16 million values; "
        "erfinv is infinite there, and clamped to a bound of ±2: a hundred std. Until torch 2.12.",
        _stray,
        "torchtitan",
        _llama_drawn,
        "strays",
        "inverse of erf",
        r"layers\.1\.feed_forward\.w1\.weight",
    ),
    Bug(
        "cut_absent",
        "Truncation bounds a hundred std away",
        (
            "pytorch/torchtitan #3334",
            "foundation-model-stack/foundation-model-stack #289",
            "huggingface/pytorch-image-models #1286",
        ),
        "trunc_normal_(std=0.02) keeps its bounds of ±2, which are absolute: nothing is cut.",
        lambda seed: _filled(_bert(), seed, _cut(0.02, 2.0)),
        "bert",
        _bert_drawn,
        "scale",
        "the truncation never happened",
        r"bert\.(?!.*LayerNorm).*(?<!token_type_embeddings)\.weight",
    ),
    Bug(
        "one_seed_for_ranks",
        "One seed on every rank",
        ("allenai/OLMo-core #307",),
        "Every rank draws its shard of a matrix from the same seed: blocks of rows repeat.",
        _sharded,
        "olmo",
        _olmo_drawn,
        "rows",
        "shards drawn with one seed",
        r"(?!.*norm).*weight",
    ),
    Bug(
        "init_after_weight_norm",
        "An initialisation that has no effect",
        ("jik876/hifi-gan #145", "pytorch/pytorch #90465", "pytorch/pytorch #180968"),
        "The weight of a weight-normed layer is computed anew at each use: drawing into it after "
        "weight_norm changes a temporary, and torch's default stays.",
        _vocoder(weight_norm_first=True),
        _VOCODER,
        _vocoder(weight_norm_first=False),
        "scale",
        "torch's default was never replaced",
        r"\d\.parametrizations\.weight\.original1",
    ),
    Bug(
        "one_initializer",
        "One seeded initializer for all tensors",
        ("keras-team/keras-hub #352",),
        "An initializer with a seed gives the same values at every call: q, k and v and all layers "
        "start equal.",
        _one_initializer,
        "bert",
        _bert_drawn,
        "identical",
        "one draw used for several tensors",
        r"bert\.(encoder|pooler).*(query|key|value|dense)\.weight",
    ),
    Bug(
        "cut_uncorrected",
        "A truncated normal that is not corrected",
        ("tensorflow/tensorflow #18706",),
        "Cut at ±2σ a normal keeps 0.8796 of its std; lecun_normal did not divide by it.",
        _selu(corrected=False),
        "selu",
        _selu(corrected=True),
        "scale",
        "keeps 0.8796 of its std",
        r"\d\.weight",
    ),
    Bug(
        "read_as_stored",
        "Fans of a transposed weight",
        ("pytorch/pytorch #130122",),
        "A weight that is used as x @ W is stored as (in, out); the initialiser reads its fan_in "
        "off the shape as (out, in), and the std is off by √(out/in).",
        _conv1d(stored=True),
        "torch",
        _conv1d(stored=False),
        "scale",
        "the fan was read off the shape as stored",
        r"transformer\.h\.\d\.(attn\.c_attn|mlp\.c_(fc|proj))\.weight",
    ),
    Bug(
        "depthwise_fan_out",
        "The fan_out of a depthwise convolution",
        ("huggingface/pytorch-image-models #84", "pytorch/pytorch #23854"),
        "torch's fan_out counts all output channels, though an input of a depthwise convolution "
        "reaches one: its std starts √groups too small.",
        _mobilenet_by_torch,
        "efficientnet",
        _mobilenet,
        "scale",
        "the fan counts all groups",
        r"blocks\.\d\.conv_dw\.weight",
    ),
    Bug(
        "grouped_fan_in",
        "The fan_in of a grouped convolution",
        ("ml-explore/mlx #4536",),
        "The bound was taken from all input channels instead of those of one group: it starts "
        "√groups too small.",
        _resnext_all_groups,
        "torch",
        _resnext,
        "scale",
        "the fan counts all groups",
        r"\d\.1\.weight",
    ),
    Bug(
        "forget_bias_twice",
        "An LSTM's forget bias set twice",
        ("pytorch/pytorch #750", "pytorch/pytorch #20102"),
        "torch's LSTM has two biases that add up: setting the forget slice of both to 1 gives 2.",
        _lstm(both=True),
        None,
        _lstm(both=False),
        "doubled",
        "both biases",
        r"bias_(ih|hh)_l\d",
    ),
    Bug(
        "root_of_two",
        "2/√n for √(2/n)",
        ("szagoruyko/wide-residual-networks #41",),
        "He's std is √(2/n); 2/√n is √2 too large.",
        _resnet_root,
        "resnet",
        _resnet,
        "scale",
        "2/√n was written for √(2/n)",
        r".*(conv\d|downsample\.0)\.weight",
    ),
    Bug(
        "tiny_experts",
        "Experts drawn within ±0.001",
        ("PaddlePaddle/PaddleFleet #991",),
        "The grouped experts kept a placeholder's U(±0.001) where N(0, 0.02²) was meant: 35 times "
        "too small.",
        _tiny_experts,
        "nanogpt",
        _experts_drawn,
        "scale",
        "the values are uniform(a=−0.001, b=0.001)",
        r"model\.layers\.\d\.mlp\.experts\.(gate_up|down)_proj",
    ),
    Bug(
        "pretrained_overwritten",
        "Initialised after loading",
        ("zshn25/DINOv2_mmseg #1",),
        "The trainer calls init_weights once more after the backbone has loaded its pretrained "
        "weights, and draws over them.",
        _vit,
        None,
        _vit_trained,
        "not_loaded",
        "initialised after loading",
        r"(pos_embed|cls_token|.*(proj|qkv|fc\d|head)\.weight|.*bias|.*norm\d?\.weight)",
        against=_vit_trained,
    ),
)


# --- zeros that are meant -----------------------------------------------------------------------


def _zero_head(seed: int) -> nn.Module:
    module = _vit(seed)
    apply_recipe(module, "vit_jax", seed)
    return module


_TARGETS = (("attn.c_attn", 256, 768), ("mlp.c_fc", 256, 1024))


def _lora(seed: int) -> State:
    """Adapters of rank 8 beside the weights of a trained GPT-2."""
    generator = torch.Generator().manual_seed(seed)
    state = _moved(_gpt2_drawn(seed), seed)
    for block in range(6):
        for name, inputs, outputs in _TARGETS:
            at = f"transformer.h.{block}.{name}"
            a = torch.empty(8, inputs)
            nn.init.kaiming_uniform_(a, a=math.sqrt(5), generator=generator)
            state |= {f"{at}.lora_A.weight": a, f"{at}.lora_B.weight": torch.zeros(outputs, 8)}
    return state


def _lora_embedding(seed: int) -> State:
    """Loralib's adapter of an embedding: A is zero there, and B is not."""
    state = _gpt2_drawn(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    state["transformer.wte.lora_A"] = torch.zeros(8, 1000)
    state["transformer.wte.lora_B"] = torch.randn(256, 8, generator=generator)
    return state


@torch.no_grad()
def _zero_gamma(seed: int) -> nn.Module:
    module = _resnet(seed)
    for name, gamma in module.named_parameters():
        if name.endswith("bn2.weight"):
            gamma.zero_()
    return module


def _fixup(seed: int) -> nn.Module:
    module = _resnet(seed)
    apply_recipe(module, "fixup", seed)
    return module


INTENDED: tuple[Example, ...] = (
    Example(
        "zero_head",
        "A classifier that starts at zero",
        ("pytorch/vision #5804",),
        "ViT's head is zero, as in the paper's code: the features get no gradient in the first "
        "step only.",
        _zero_head,
        "vit_jax",
    ),
    Example(
        "zero_lora_b",
        "LoRA's B",
        ("microsoft/LoRA #98",),
        "One of the two matrices of an adapter is zero, so that it starts as no change.",
        _lora,
        None,
    ),
    Example(
        "zero_lora_a",
        "LoRA's A beside an embedding",
        ("microsoft/LoRA #98",),
        "loralib zeroes the other matrix here; either will do.",
        _lora_embedding,
        None,
    ),
    Example(
        "zero_gamma",
        "The last γ of a residual block",
        ("arXiv 1706.02677",),
        "A zero γ makes the block an identity at the start.",
        _zero_gamma,
        "resnet",
    ),
    Example(
        "fixup",
        "Fixup's zero convolutions",
        ("arXiv 1901.09321",),
        "The last convolution of a block and the classifier are zero.",
        _fixup,
        "fixup",
    ),
)
