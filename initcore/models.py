"""Models: small built-in models with adjustable sizes, to audit and to learn from.

>>> model = build_model("gpt", seed=1, width=32, heads=4, blocks=2)
>>> model.lm_head.weight is model.transformer["wte"].weight
True

Plain modules, named as their families name them, each filled by the recipe that suits it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from initcore.draw import torch_seeded
from initcore.errors import InitError
from initcore.recipes import apply_recipe

# 80 MB in float32: what one request may hold, see draw.Limits.
MAX_PARAMETERS = 20_000_000


@dataclass(frozen=True)
class Size:
    """An adjustable size of a model: a whole number from low to high."""

    name: str
    default: int
    low: int
    high: int
    help: str

    def check(self, value: object) -> int:
        """The value; raises InitError naming what is allowed."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise InitError(f"{self.name} = {str(value)[:40]}: must be a whole number")
        if not self.low <= value <= self.high:
            shown = value if abs(value) < 10**20 else "that many"
            raise InitError(
                f"{self.name} = {shown}: must be at least {self.low} and at most {self.high:,}"
            )
        return value


@dataclass(frozen=True)
class Model:
    """A built-in model: a record of ``MODELS``.

    build makes the module from its sizes; recipe is the slug of the one that suits it.
    """

    slug: str
    title: str
    sizes: tuple[Size, ...]
    build: Callable[[Mapping[str, int]], nn.Module]
    recipe: str


def build_model(slug: str, *, seed: int = 0, **sizes: int) -> nn.Module:
    """A model with its recipe drawn; the same for the same seed and sizes, in any thread.

    Sizes left out take their defaults. Raises InitError, before anything is allocated, for an
    unknown model or size, a size out of range, or more than ``MAX_PARAMETERS`` parameters.
    """
    model = get_model(slug)
    known = {size.name: size for size in model.sizes}
    for name in sizes:
        if name not in known:
            raise InitError(f"{slug} has no size {name[:40]!r}: it has {', '.join(known)}")
    full = {name: size.check(sizes.get(name, size.default)) for name, size in known.items()}
    with torch_seeded(seed):
        with torch.device("meta"), _Undrawn():  # shapes without values
            count = sum(parameter.numel() for parameter in model.build(full).parameters())
        if count > MAX_PARAMETERS:
            raise InitError(
                f"{slug} of these sizes has {count:,} parameters, at most {MAX_PARAMETERS:,}: "
                "choose smaller sizes"
            )
        module = model.build(full)
    if model.recipe != "torch":  # the constructors have drawn that one
        apply_recipe(module, model.recipe, seed)
    return module


class _Undrawn(TorchFunctionMode):
    """Leaves out ``normal_``, for which the meta device imports torch's compiler: 70 MB."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        return given["tensor"] if func is nn.init.normal_ else func(*args, **given)


def get_model(slug: str) -> Model:
    """The record with this slug; raises InitError naming the allowed ones."""
    for model in MODELS:
        if model.slug == slug:
            return model
    allowed = ", ".join(model.slug for model in MODELS)
    raise InitError(f"model {slug[:40]!r} is not one of: {allowed}")


# --- the modules --------------------------------------------------------------------------------


def _heads(sizes: Mapping[str, int]) -> int:
    """The number of heads, which divides the width."""
    width, heads = sizes["width"], sizes["heads"]
    if width % heads:
        raise InitError(f"heads = {heads}: must divide width = {width}")
    return heads


class MLP(nn.Module):
    """Linear layers with ReLU between them: (…, inputs) to (…, outputs)."""

    def __init__(self, inputs: int, width: int, depth: int, outputs: int) -> None:
        super().__init__()
        widths = [inputs, *[width] * depth]
        self.layers = nn.ModuleList(map(nn.Linear, widths, widths[1:]))
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = functional.relu(layer(x))
        return cast("Tensor", self.head(x))


class _BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        branch = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(branch + self.downsample(x))


class CNN(nn.Module):
    """A small ResNet of three stages: images (n, 3, h, w) to (n, outputs)."""

    def __init__(self, width: int, blocks: int, groups: int, outputs: int) -> None:
        super().__init__()
        if width % groups:
            raise InitError(f"groups = {groups}: must divide width = {width}")
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        widths = [width, width, 2 * width, 4 * width]
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                *(
                    _BasicBlock(
                        widths[i] if j == 0 else widths[i + 1],
                        widths[i + 1],
                        2 if i and j == 0 else 1,
                        groups,
                    )
                    for j in range(blocks)
                )
            )
            for i in range(3)
        )
        self.fc = nn.Linear(4 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return cast("Tensor", self.fc(x.mean((2, 3))))


class LSTMModel(nn.Module):
    """A language model of LSTM layers: tokens (n, t) to logits (n, t, vocab)."""

    def __init__(self, vocab: int, width: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.lstm = nn.LSTM(width, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, vocab)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast("Tensor", self.head(self.lstm(self.embedding(tokens))[0]))


class Encoder(nn.Module):
    """torch's own TransformerEncoder, whose layers are copies of one: tokens to (n, t, width)."""

    def __init__(
        self, vocab: int, context: int, width: int, heads: int, ff: int, blocks: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.position_embedding = nn.Embedding(context, width)
        layer = nn.TransformerEncoderLayer(width, heads, ff, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, blocks, enable_nested_tensor=False)

    def forward(self, tokens: Tensor) -> Tensor:
        at = torch.arange(tokens.shape[1], device=tokens.device)
        return cast("Tensor", self.encoder(self.embedding(tokens) + self.position_embedding(at)))


class _Attention(nn.Module):
    """Self-attention with packed q, k and v, under the names its family uses."""

    def __init__(self, width: int, heads: int, qkv: str, out: str, causal: bool) -> None:
        super().__init__()
        self.num_heads, self.causal = heads, causal
        self.add_module(qkv, nn.Linear(width, 3 * width))
        self.add_module(out, nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        qkv, out = self.children()
        q, k, v = qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return cast("Tensor", out(mixed.transpose(1, 2).flatten(2)))


class _FeedForward(nn.Module):
    def __init__(self, width: int, ff: int, first: str, second: str) -> None:
        super().__init__()
        self.add_module(first, nn.Linear(width, ff))
        self.add_module(second, nn.Linear(ff, width))

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.children()
        return cast("Tensor", second(functional.gelu(first(x))))


class _Block(nn.Module):
    """A pre-norm transformer block; the order of its parts is that of their use."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        norm1, attention, norm2, feed_forward = self.children()
        x = x + attention(norm1(x))
        return cast("Tensor", x + feed_forward(norm2(x)))


class GPT(nn.Module):
    """A GPT-2 in nanoGPT's names, with its head tied: tokens (n, t) to logits (n, t, vocab)."""

    def __init__(self, vocab: int, context: int, width: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(vocab, width),
                "wpe": nn.Embedding(context, width),
                "h": nn.ModuleList(
                    _Block(
                        ln_1=nn.LayerNorm(width),
                        attn=_Attention(width, heads, "c_attn", "c_proj", causal=True),
                        ln_2=nn.LayerNorm(width),
                        mlp=_FeedForward(width, 4 * width, "c_fc", "c_proj"),
                    )
                    for _ in range(blocks)
                ),
                "ln_f": nn.LayerNorm(width),
            }
        )
        self.lm_head = nn.Linear(width, vocab, bias=False)
        self.lm_head.weight = cast("nn.Embedding", self.transformer["wte"]).weight

    def forward(self, tokens: Tensor) -> Tensor:
        parts = self.transformer
        at = torch.arange(tokens.shape[1], device=tokens.device)
        x = parts["wte"](tokens) + parts["wpe"](at)
        for block in cast("nn.ModuleList", parts["h"]):
            x = block(x)
        return cast("Tensor", self.lm_head(parts["ln_f"](x)))


class _PatchEmbed(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.proj(x).flatten(2).mT)


class ViT(nn.Module):
    """A vision transformer in timm's names: square images (n, 3, s, s) to (n, outputs)."""

    def __init__(
        self, image: int, patch: int, width: int, heads: int, blocks: int, outputs: int
    ) -> None:
        super().__init__()
        if image % patch:
            raise InitError(f"patch = {patch}: must divide image = {image}")
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, (image // patch) ** 2 + 1, width))
        self.patch_embed = _PatchEmbed(width, patch)
        self.blocks = nn.Sequential(
            *(
                _Block(
                    norm1=nn.LayerNorm(width),
                    attn=_Attention(width, heads, "qkv", "proj", causal=False),
                    norm2=nn.LayerNorm(width),
                    mlp=_FeedForward(width, 4 * width, "fc1", "fc2"),
                )
                for _ in range(blocks)
            )
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        return cast("Tensor", self.head(self.norm(self.blocks(x))[:, 0]))


# --- the records --------------------------------------------------------------------------------

_WIDTH = Size("width", 128, 1, 4096, "Width of the model, d.")
_HEADS = Size("heads", 4, 1, 64, "Attention heads; they divide the width.")
_BLOCKS = Size("blocks", 4, 1, 48, "Blocks one after another, L.")
_VOCAB = Size("vocab", 512, 1, 100_000, "Rows of the embedding.")
_CONTEXT = Size("context", 64, 1, 8192, "Positions.")
_OUTPUTS = Size("outputs", 10, 1, 10_000, "Classes.")

MODELS: tuple[Model, ...] = (
    Model(
        "mlp",
        "Multilayer perceptron",
        (
            Size("inputs", 784, 1, 10_000, "Input features."),
            Size("width", 256, 1, 4096, "Units of a hidden layer."),
            Size("depth", 4, 1, 100, "Hidden layers."),
            _OUTPUTS,
        ),
        lambda s: MLP(s["inputs"], s["width"], s["depth"], s["outputs"]),
        "torch",
    ),
    Model(
        "cnn",
        "Convolutional network, a small ResNet",
        (
            Size("width", 16, 1, 512, "Channels of the first stage; each stage doubles them."),
            Size("blocks", 2, 1, 32, "Residual blocks of each of the three stages."),
            Size("groups", 1, 1, 512, "Groups of each block's second convolution."),
            _OUTPUTS,
        ),
        lambda s: CNN(s["width"], s["blocks"], s["groups"], s["outputs"]),
        "resnet",
    ),
    Model(
        "lstm",
        "LSTM language model",
        (
            _VOCAB,
            Size("width", 64, 1, 4096, "Width of the embedding."),
            Size("hidden", 128, 1, 4096, "Hidden size."),
            Size("layers", 2, 1, 16, "LSTM layers."),
        ),
        lambda s: LSTMModel(s["vocab"], s["width"], s["hidden"], s["layers"]),
        "torch",
    ),
    Model(
        "encoder",
        "Transformer encoder, torch's own",
        (
            _VOCAB,
            _CONTEXT,
            _WIDTH,
            _HEADS,
            Size("ff", 512, 1, 16_384, "Width of the feed-forward layers."),
            _BLOCKS,
        ),
        lambda s: Encoder(s["vocab"], s["context"], s["width"], _heads(s), s["ff"], s["blocks"]),
        "torch",
    ),
    Model(
        "gpt",
        "GPT, in nanoGPT's style",
        (_VOCAB, _CONTEXT, _WIDTH, _HEADS, _BLOCKS),
        lambda s: GPT(s["vocab"], s["context"], s["width"], _heads(s), s["blocks"]),
        "nanogpt",
    ),
    Model(
        "vit",
        "Vision transformer, in timm's style",
        (
            Size("image", 32, 1, 512, "Side of the image in pixels."),
            Size("patch", 4, 1, 64, "Side of a patch; it divides the image's."),
            _WIDTH,
            _HEADS,
            _BLOCKS,
            _OUTPUTS,
        ),
        lambda s: ViT(s["image"], s["patch"], s["width"], _heads(s), s["blocks"], s["outputs"]),
        "vit_timm",
    ),
)
