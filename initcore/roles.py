"""Roles: what each tensor of a model is, from its modules' types or from names and shapes.

>>> for place in places({"h.0.attn.c_attn.weight": ((96, 32), "float32")}):
...     print(place.role, place.depth, [name for name, _ in place.blocks], place.inferred)
qkv 0 ['q', 'k', 'v'] True

With a module, its types say which layer a tensor belongs to; names refine it: a Linear named
``q_proj`` is a query projection. With names and shapes only, as in a checkpoint, the layer is
inferred from the conventions of the known families and said to be so. A name that none of them
uses gets the role its shape suggests.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from initcore.errors import InitError
from initcore.layers import LONGEST_KERNEL, Layer

# Weights of a layer that mixes its inputs; the names say what for.
MATRICES = (
    "linear",
    "q",
    "k",
    "v",
    "qkv",
    "attention_out",
    "mlp_in",
    "mlp_out",
    "router",
    "head",
)
ROLES = (
    *MATRICES,
    "conv",
    "conv_transpose",
    "embedding",
    "positions",
    "relative_bias",
    "token",
    "norm",
    "norm_bias",
    "layer_scale",
    "bias",
    "recurrent_input",
    "recurrent_hidden",
    "recurrent_projection",
    "recurrent_bias",
    "lora_a",
    "lora_b",
    "buffer",
    "other",
)

# Longer names are read from their end: no module's path is as long.
MAX_NAME = 512

Index = tuple[slice, ...]
Blocks = tuple[tuple[str, Index], ...]


@dataclass(frozen=True)
class Place:
    """What one tensor of a model is.

    name, shape, dtype: as stored. role: one of ``ROLES``.
    inferred: the layer is read off the name and the shape, not off a module's type.
    layer: the layer whose weight or bias this is; None where it is none's. Its fans are those of
        one matrix product: of one expert where experts are stacked, of all three where q, k and v
        are packed.
    depth: ℓ, the 0-based index of the block it is in. stack: the list of blocks ℓ counts along.
    blocks: parts to be judged on their own, as (name, index): packed q, k and v, gates of a
        recurrent layer, stacked experts, the row of padding_idx.
    transposed: a matrix stored as (in, out), like the Conv1D of GPT-2.
    tied: name of the earlier tensor that is the same one in memory.
    modules: class names from the root down to the owner; empty for a checkpoint.
    heads: attention heads, where the module says so.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str = ""
    inferred: bool = True
    layer: Layer | None = None
    depth: int | None = None
    stack: str = ""
    blocks: Blocks = ()
    transposed: bool = False
    tied: str | None = None
    modules: tuple[str, ...] = ()
    heads: int | None = None

    @property
    def hidden(self) -> int | None:
        """The hidden size of the recurrent layer this tensor belongs to."""
        if self.role == "recurrent_projection":
            return self.shape[1]
        return self.shape[0] // max(len(self.blocks), 1) if self.role in _RECURRENT else None


_RECURRENT = ("recurrent_input", "recurrent_hidden", "recurrent_bias")

Source = nn.Module | Mapping[str, tuple[Sequence[int], str | torch.dtype]]


def places(source: Source) -> list[Place]:
    """What each tensor is, in the order of the source.

    ``source`` is a module, or a mapping from names to (shape, dtype). A tensor held under several
    names is listed under each, ``tied`` to the first. Raises InitError for a lazy module that has
    not seen an input yet.
    """
    if isinstance(source, nn.Module):
        found = list(_of_module(source))
    else:
        found = [
            Place(name, tuple(shape), str(dtype).removeprefix("torch."))
            for name, (shape, dtype) in source.items()
        ]
    found = _with_depths(found)
    beside = _Beside.of(found)
    found = [_with_role(place, beside) for place in found]
    found = _with_layers(found)
    return _with_blocks(found)


# --- from modules -------------------------------------------------------------------------------

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_HEADS = ("num_heads", "n_heads", "n_head", "num_attention_heads", "nhead")


def _of_module(root: nn.Module) -> Iterator[Place]:
    """Every parameter and buffer with what the types say: layer, role, padding, heads."""
    first: dict[int, str] = {}
    owners: dict[str, nn.Module] = {}
    for path, module in root.named_modules(remove_duplicate=False):
        owners[path] = module
        above = path.split(".") if path else []
        chain = [owners[".".join(above[:i])] for i in range(len(above) + 1)]
        modules = tuple(type(owner).__name__ for owner in chain)
        heads = next((n for owner in reversed(chain) if (n := _heads(owner))), None)
        own: dict[str, Tensor | None] = {**module._parameters, **module._buffers}
        for leaf, tensor in own.items():
            if tensor is None:
                continue
            name = f"{path}.{leaf}" if path else leaf
            if is_lazy(tensor):
                raise InitError(f"{name} has no shape yet: run a forward pass through the module")
            tied = first.setdefault(id(tensor), name)
            place = Place(
                name,
                tuple(tensor.shape),
                str(tensor.dtype).removeprefix("torch."),
                role="" if leaf in module._parameters else "buffer",
                tied=None if tied == name else tied,
                modules=modules,
                heads=heads,
            )
            yield _typed(place, module, leaf, chain)


def _heads(module: nn.Module) -> int | None:
    for name in _HEADS:
        value = getattr(module, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return None


def _typed(place: Place, module: nn.Module, leaf: str, chain: list[nn.Module]) -> Place:
    """The place with what its module's type says of it; as it is for a type nobody knows."""
    if place.role == "buffer":
        return replace(place, inferred=False)
    if _LENGTHS.search(place.name):
        return replace(place, role="other", inferred=False)
    layer = _layer_of(module)
    transposed = type(module).__name__ == "Conv1D"
    role = ""
    # A class of one's own may hold other parameters beside the layer's.
    if layer and leaf == "bias":
        role = "bias"
    elif layer and place.shape == layer.weight_shape[:: -1 if transposed else 1]:
        role = _LAYER_ROLES.get(layer.slug, layer.slug)
        role = re.sub(r"\dd$", "", role)
        if role == "linear" and len(chain) > 1:
            role = _part_of_transformer(chain[-2], place.name.split(".")[-2])
    elif isinstance(module, nn.RNNBase | nn.modules.rnn.RNNCellBase):
        role = _recurrent_role(leaf)
    elif isinstance(module, nn.MultiheadAttention):
        role = _ATTENTION_ROLES.get(leaf, "other")
    elif isinstance(module, _NORMS):
        role = {"weight": "norm", "bias": "norm_bias"}.get(leaf, "other")
    elif isinstance(module, nn.PReLU):
        role = "other"
    if not role:
        return place
    place = replace(place, role=role, layer=layer, inferred=False)
    if transposed and role != "bias":
        return replace(place, transposed=True)
    padding = getattr(module, "padding_idx", None)
    if role == "embedding" and padding is not None:
        rows = place.shape[0]
        cuts = (("before", 0, padding), ("padding", padding, padding + 1), ("after", -1, rows))
        return replace(
            place,
            blocks=tuple(
                (name, (slice(padding + 1 if start < 0 else start, stop),))
                for name, start, stop in cuts
                if (padding + 1 if start < 0 else start) < stop
            ),
        )
    return place


_LAYER_ROLES = {"bilinear": "linear"}
# Lengths of a weight-normed layer's vectors, computed from its weight: no weight themselves.
_LENGTHS = re.compile(r"(?:^|\.)(?:weight_g|parametrizations\.\w+\.original0)$")
# Buffers of a parametrised layer: the singular vectors of its spectral norm, and the orthogonal
# matrix that the parameter beside it turns.
_VECTORS = re.compile(r"(?:^|\.)(?:weight_[uv]|parametrizations\.\w+\.\d+\._[uv])$")
_TURNED = re.compile(r"(?:^|\.)parametrizations\.\w+\.\d+\.base$")
_ATTENTION_ROLES = {
    "in_proj_weight": "qkv",
    "q_proj_weight": "q",
    "k_proj_weight": "k",
    "v_proj_weight": "v",
    "in_proj_bias": "bias",
    "bias_k": "token",
    "bias_v": "token",
}


def _part_of_transformer(parent: nn.Module, attribute: str) -> str:
    """The role of a Linear that a module of torch holds under this name."""
    if isinstance(parent, nn.MultiheadAttention):
        return "attention_out"
    if isinstance(parent, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
        return {"linear1": "mlp_in", "linear2": "mlp_out"}.get(attribute, "linear")
    return "linear"


def _layer_of(module: nn.Module) -> Layer | None:
    """The layer a module is, from its own sizes."""
    if isinstance(module, nn.Linear):
        return _layer("linear", module.in_features, module.out_features)
    if isinstance(module, nn.Bilinear):
        return _layer("bilinear", module.in1_features, module.in2_features, module.out_features)
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return _layer("embedding", module.num_embeddings, module.embedding_dim)
    if isinstance(module, nn.modules.conv._ConvNd):
        kind = "conv_transpose" if module.transposed else "conv"
        kernel = module.kernel_size
        sizes = (module.in_channels, module.out_channels, *kernel)
        return _layer(f"{kind}{len(kernel)}d", *sizes, groups=module.groups)
    if type(module).__name__ == "Conv1D" and isinstance(weight := module.weight, Tensor):
        return _layer("linear", *weight.shape)  # transformers' Linear, stored as (in, out)
    return None


def _layer(slug: str, *size: int, groups: int = 1) -> Layer | None:
    """The layer; None for sizes that no layer has, such as 0."""
    try:
        return Layer(slug, size, groups)
    except InitError:
        return None


def _recurrent_role(leaf: str) -> str:
    if leaf.startswith("bias"):
        return "recurrent_bias"
    return {"ih": "recurrent_input", "hh": "recurrent_hidden", "hr": "recurrent_projection"}.get(
        leaf.removeprefix("weight_")[:2], "other"
    )


# --- depth --------------------------------------------------------------------------------------

_COUNTED = {"h", "layers", "layer", "blocks", "block", "resblocks", "encoder_layers"}
_ATTACHED = re.compile(r"(layer|stage|block|group|h|res)_?(\d+)")


def _block(name: str) -> tuple[str, tuple[int, ...]]:
    """The stack a tensor is in and its index there: two numbers for a block of a stage."""
    parts = name.split(".")[:-1]
    for i, part in enumerate(parts):
        attached = _ATTACHED.fullmatch(part)
        if not (part.isdecimal() or attached):
            continue
        stem = ".".join([*parts[:i], attached[1]] if attached else parts[:i])
        index = [_number(attached[2] if attached else part)]
        rest = parts[i + 1 :]
        if len(rest) > 1 and rest[0] in {"blocks", "block", "layers"}:
            rest = rest[1:]
        if rest and rest[0].isdecimal():
            index.append(_number(rest[0]))
        return stem, tuple(index)
    return "", ()


def _number(digits: str) -> int:
    return int(digits[:9])  # a hostile name may hold thousands of digits


def _with_depths(found: list[Place]) -> list[Place]:
    """ℓ as the name says it; in a list of layers of all kinds, or of stages, counted off."""
    where = [_block(place.name) for place in found]
    known: dict[str, set[tuple[int, ...]]] = {}
    for stem, index in where:
        known.setdefault(stem, set()).add(index)
    ranks: dict[str, dict[tuple[int, ...], int]] = {}
    for stem, indices in known.items():
        if any(len(i) == 2 for i in indices) or stem.rpartition(".")[2] not in _COUNTED:
            ranks[stem] = {index: rank for rank, index in enumerate(sorted(indices - {()}))}
    result = []
    for place, (stem, index) in zip(found, where, strict=True):
        depth = (ranks[stem][index] if stem in ranks else index[0]) if index else None
        result.append(replace(place, depth=depth, stack=stem))
    return result


# --- roles from names and shapes ----------------------------------------------------------------

# Buffers that are measured: of a batch norm. All others are set.
STATISTICS = ("running_mean", "running_var")
_ATTENTION = r"(?:^|\.)\w*att(?:n|ention)?\w*\."
_MLP = r"(?:^|\.)(?:mlp|ffn?|feed_?forward|dense\w*|block_sparse_moe|moe|experts?)\w*\."


def _ends(*names: str, after: str = r"(?:^|\.)") -> re.Pattern[str]:
    return re.compile(f"{after}(?:{'|'.join(names)})$")


# What the end of a name says, first match first. A name in _WITHIN counts only inside a block or
# a feed-forward or attention module: a fc1 by itself is any linear layer.
_PARAMETERS: tuple[tuple[re.Pattern[str], str], ...] = (
    (_ends(r"lora_(?:embedding_)?a(?:\.\w+)?"), "lora_a"),
    (_ends(r"lora_(?:embedding_)?b(?:\.\w+)?"), "lora_b"),
    # Vectors of Householder reflections, which begin in equal pairs: those cancel.
    (_ends(r"hra_u(?:\.\w+)?"), "other"),
    (
        _ends(
            *STATISTICS,
            "num_batches_tracked",
            r"inv_freq",
            "position_ids",
            "token_type_ids",
            "masked_bias",
            "freqs_cis",
            "relative_position_index",
            "(?:weight|bias)_mask",
        ),
        "buffer",
    ),
    (
        _ends(
            r"(?:cls|class|mask|dist|reg|register|distillation|query)_tokens?",
            r"latents(?:_\w+)?",
            "latent_queries",
            "class_embedding",
            "bias_[kv]",
        ),
        "token",
    ),
    (
        _ends("relative_attention_bias", "relative_position_bias_table", "rel_pos_bias"),
        "relative_bias",
    ),
    (
        _ends(
            "wpe",
            "w_pos",
            r"pos(?:ition(?:al)?)?_emb(?:ed(?:ding)?)?s?(?:_(?:table|height|width|h|w|x|y|t|\d))?",
            "embed_positions",
        ),
        "positions",
    ),
    (
        _ends(r"ls[12]?(?:\.gamma)?", r"layer_?scale\w*(?:\.\w+)?", r"gamma(?:_[12])?"),
        "layer_scale",
    ),
)
# Parameters that are no layer's weight.
_LEARNED = re.compile(
    r"(?:\w*_)?(?:tokens?|queries|latents?|memory|prompts?|slot_embeds?)$"
    r"|(?:mem|null|null_attn)_(?:k|v|kv)$"
)
_NORM = re.compile(
    r"(?:^|[._])(?:ln|bn|(?:layer|batch|group|instance|rms)_?norm|norm)(?:[_\d]|$)[^.]*$|norm\d?$"
)
# What a norm is called, of classes that are not torch's.
_NORM_CLASS = re.compile(r"norm|bn|ln|affine|scale", re.IGNORECASE)
_MATRIX_NAMES: tuple[tuple[re.Pattern[str], str], ...] = (
    (_ends(r"(?:rel(?:ative)?_)?attention_bias"), "relative_bias"),
    (
        _ends(
            "wte",
            "word_embeddings?",
            "tok(?:en)?_embeddings?",
            "embed_tokens",
            "shared",
            "embed_in",
            "token_type_embeddings",
            "embeddings?",
            "tok_emb",
            "embed",
            "w_e",
        ),
        "embedding",
    ),
    (_ends("gate", after=_MLP), "router"),
    (_ends("router", r"router\.\w+"), "router"),
    (
        _ends(
            "lm_head",
            "embed_out",
            "classifier",
            "classification_head",
            "score",
            "qa_outputs",
            "unembed",
            "w_u",
            r"head(?:s\.head|\.fc|_dist)?",
            r"cls\.predictions\.decoder",
        ),
        "head",
    ),
    (re.compile(r"^(?:model\.|transformer\.|backbone\.)?(?:output|ff_out|fc)$"), "head"),
    (
        _ends(
            "c_attn",
            r"\w*qkv(?:_proj)?",
            "query_key_value",
            "in_proj_weight",
            "att_proj",
            r"attn\.attn",
            r"to_kv",
            r"attn\.in_proj",
        ),
        "qkv",
    ),
    (_ends("q_proj(?:_weight)?", "wq", "query", "to_q", "q_lin"), "q"),
    (_ends("k_proj(?:_weight)?", "wk", "key", "to_k", "k_lin"), "k"),
    (_ends("v_proj(?:_weight)?", "wv", "value", "to_v", "v_lin"), "v"),
    (_ends("q", after=_ATTENTION), "q"),
    (_ends("k", after=_ATTENTION), "k"),
    (_ends("v", after=_ATTENTION), "v"),
    (_ends("o_proj", r"to_out(?:\.0)?", "attn_out", "out_lin"), "attention_out"),
    (
        _ends("o", "wo", "c_proj", "proj", "out_proj", r"output\.dense", "dense", after=_ATTENTION),
        "attention_out",
    ),
    (
        _ends(
            "c_fc",
            "gate_proj",
            "up_proj",
            "gate_up_proj",
            r"wi(?:_[01])?",
            "dense_h_to_4h",
            r"intermediate\.dense",
            "ff_proj",
            "pwconv1",
            r"mlp\.w_in",
        ),
        "mlp_in",
    ),
    (_ends("down_proj", "dense_4h_to_h", "pwconv2", r"mlp\.w_out"), "mlp_out"),
)
_WITHIN: tuple[tuple[re.Pattern[str], str], ...] = (
    (_ends("fc_?1", "fc_2", "linear1", "lin1", "w1", "w3"), "mlp_in"),
    (_ends("0", after=_MLP), "mlp_in"),
    (_ends("fc2", "linear2", "lin2", "w2", "wo", "ff_out", r"output\.dense"), "mlp_out"),
    (_ends("c_proj", "proj", "[23]", after=_MLP), "mlp_out"),
)
_INSIDE = re.compile(f"{_ATTENTION}|{_MLP}")
# Names of GPT-2's Conv1D, which stores (in, out); a Linear of the same name stores (out, in). And
# those of TransformerLens and of transformers written after it, which do so too.
_CONV1D = _ends("c_attn", "c_fc", "c_proj", "q_attn", r"mlp\.w_(?:in|out)", "w_u")
_BIASES = re.compile(r"b_(?:[qkvou]|in|out)$")
_TRANSPOSED_CONV = re.compile(r"conv_?t(?:ranspose)?\w*\d?$|deconv|up_?conv|transposed?_?conv")
_DEPTHWISE = re.compile(r"(?:^|[._])(?:conv_)?dw(?:_?conv)?(?:[._\d]|$)|depth_?wise")


def _owner(name: str) -> tuple[str, str]:
    """The path that says what a tensor is, and its leaf: weight, bias, or its own name."""
    name = name[-MAX_NAME:]
    name = re.sub(r"(?:^|\.)parametrizations\.(\w+)\.original1?$", r".\1", name.lower())
    name = name.replace(".base_layer.", ".")  # peft
    name = re.sub(r"(?:^|\.)(?:_orig_mod|_fsdp_wrapped_module|module)(?=\.)", "", name).lstrip(".")
    path, _, leaf = name.rpartition(".")
    if leaf in {"weight", "bias", "weight_v"}:
        return path, leaf.removesuffix("_v")
    return name, leaf


@dataclass(frozen=True)
class _Beside:
    """What a tensor's neighbours say of it: the paths of modules that hold telling names.

    scales: a vector called weight, or running statistics: a norm. tables: weight and bias of one
    shape: a norm over several axes. turned: names of parameters that turn a base, see _TURNED.
    attention: packed projections. transformer: an attention module. biases: sizes of the biases.
    """

    scales: set[str]
    tables: set[str]
    turned: set[str]
    attention: set[str]
    transformer: set[str]
    biases: Mapping[str, int]

    @classmethod
    def of(cls, found: Sequence[Place]) -> _Beside:
        scales, attention, transformer = set(), set(), set()
        for place in found:
            path, _, leaf = place.name.lower().rpartition(".")
            if leaf in STATISTICS or (leaf == "weight" and len(place.shape) == 1):
                scales.add(path)
            if leaf.startswith(("in_proj_", "q_proj_")):
                attention.add(path)
                transformer.add(path.rpartition(".")[0])
        shapes = {_owner(place.name): place.shape for place in found}
        # No layer has a bias of its weight's shape; a norm over several axes has.
        tables = {
            path
            for (path, leaf), shape in shapes.items()
            if leaf == "weight" and len(shape) > 1 and shapes.get((path, "bias")) == shape
        }
        turned = {
            place.name.rsplit(".", 2)[0] + ".original"
            for place in found
            if _TURNED.search(place.name)
        }
        biases = {
            place.name.lower().removesuffix(".bias"): place.shape[0]
            for place in found
            if place.name.endswith("bias") and len(place.shape) == 1
        }
        return cls(scales, tables, turned, attention, transformer, biases)


def _with_role(place: Place, beside: _Beside) -> Place:
    """The place with its role; what the module's type settled stays."""
    if place.role not in {"", "linear", "embedding"}:
        return place
    path, leaf = _owner(place.name)
    if place.role:
        role = _named_matrix(path, place.depth is not None)
        fits = role in {"positions", "relative_bias", "lora_a", "lora_b"} or (
            place.role == "linear"
        ) == (role in MATRICES)
        return replace(place, role=role) if role and fits else place
    return replace(place, role=_inferred(place, path, leaf, beside))


def _named_matrix(path: str, in_block: bool) -> str | None:
    for pattern, role in (*_PARAMETERS, *_MATRIX_NAMES):
        if pattern.search(path):
            return role
    if in_block or _INSIDE.search(path):
        return next((role for pattern, role in _WITHIN if pattern.search(path)), None)
    return None


def _inferred(place: Place, path: str, leaf: str, beside: _Beside) -> str:
    """The role by name, else by shape."""
    rank = len(place.shape)
    if not place.dtype.startswith(("float", "bfloat")):
        return "buffer"
    if (rank == 1 and _VECTORS.search(place.name)) or _TURNED.search(place.name):
        return "buffer"
    if _LENGTHS.search(place.name) or place.name in beside.turned:
        return "other"
    if re.match(r"(?:weight|bias)_(?:ih|hh|hr)(?:_|$)", leaf):
        return _recurrent_role(leaf)
    # The name of a norm holds beta and gamma, too; a causal mask may be called bias.
    norm = bool(_NORM.search(path if leaf in {"weight", "bias"} else path.rpartition(".")[0]))
    norm = norm or (path in beside.scales and _may_be_norm(place))
    if path in beside.tables and leaf in {"weight", "bias"}:
        return "norm_bias" if leaf == "bias" else "norm"
    if rank <= 1 and norm and leaf not in {"running_mean", "running_var", "num_batches_tracked"}:
        return "norm_bias" if leaf in {"bias", "beta", "b"} else "norm"
    if leaf == "bias" and rank != 2:
        return "bias" if rank < 2 else "buffer"
    role = next((role for pattern, role in _PARAMETERS if pattern.search(path)), None)
    if role:
        return role
    if leaf not in {"weight", "bias"} and _LEARNED.match(leaf):
        return "token"
    if (leaf.endswith("_bias") and (rank <= 1 or "expert" in path)) or _BIASES.match(leaf):
        return "bias"
    if rank >= 2:
        parent, _, last = path.rpartition(".")
        if last == "out_proj" and parent in beside.attention:
            return "attention_out"
        role = _named_matrix(path, place.depth is not None or parent in beside.transformer)
        if role and (rank == 2 or _stacked(place, role)):
            return role
    if rank > 2 and leaf != "weight" and math.prod(place.shape) == max(place.shape):
        return "other"  # a value for each channel, such as a gain
    if rank in {3, 4, 5} and _may_be_conv(place, leaf):
        # A bias is as long as a layer has outputs, which a transposed convolution stores second.
        swapped = beside.biases.get(path, place.shape[0]) != place.shape[0]
        return "conv_transpose" if swapped or _TRANSPOSED_CONV.search(path) else "conv"
    if rank == 2 and leaf == "weight":
        return "linear"
    # Of torch's modules only norms and PReLU have one, and norms are usual.
    if rank == 1 and leaf == "weight" and _may_be_norm(place):
        return "norm"
    return "linear" if rank == 2 else "other"


def _may_be_norm(place: Place) -> bool:
    """Whether the class, where it is known, does not speak against a norm."""
    owner = _class_of(place)
    return not owner or bool(_NORM_CLASS.search(owner))


def _may_be_conv(place: Place, leaf: str) -> bool:
    """Whether a tensor of three axes or more is a kernel, and no stack of matrices or tokens."""
    # Torch's own convolutions are known by their type.
    fits = not _class_of(place) or place.shape[-1] <= LONGEST_KERNEL
    return fits and leaf.startswith(("weight", "kernel"))


def _class_of(place: Place) -> str:
    """The class that holds a tensor; "" in a checkpoint, and for what a parametrisation hides."""
    owner = place.modules[-1] if place.modules else ""
    return "" if owner == "ParametrizationList" else owner


def _stacked(place: Place, role: str) -> bool:
    """Whether a tensor of three axes holds one matrix for each expert."""
    return (
        len(place.shape) == 3 and role in {"mlp_in", "mlp_out"} and "expert" in place.name.lower()
    )


# --- layers and blocks --------------------------------------------------------------------------


def _most_common(values: Iterable[int]) -> int | None:
    counted = Counter(values).most_common(1)
    return counted[0][0] if counted else None


def _width(found: list[Place]) -> int | None:
    """The width d, as far as it can be told without knowing which axis of a matrix is its input."""
    for roles in (("embedding",), ("positions", "token"), ("norm",)):
        width = _most_common(p.shape[-1] for p in found if p.role in roles and p.shape)
        if width:
            return width
    return None


def _with_layers(found: list[Place]) -> list[Place]:
    """Layers of the inferred weights, and of their biases."""
    d = _width(found)
    paths = [_owner(place.name)[0] for place in found]
    # A square Conv1D cannot tell which axis is which; its siblings can.
    conv1d = any(
        place.inferred and _CONV1D.search(path) and _is_transposed(place, d)
        for place, path in zip(found, paths, strict=True)
    )
    result, layers = [], {p: place.layer for p, place in zip(paths, found, strict=True)}
    first_conv = next((p.name for p in found if p.role == "conv"), None)
    for place, path in zip(found, paths, strict=True):
        if place.layer or place.role in {"bias", "buffer", "norm", "norm_bias", "recurrent_bias"}:
            result.append(place)
            continue
        if _stacked(place, place.role):
            transposed = _is_transposed(place, d)
        else:
            transposed = bool(_CONV1D.search(path)) and len(place.shape) == 2
            transposed = transposed and (
                conv1d if place.shape[0] == place.shape[1] else _is_transposed(place, d)
            )
        layer = _layer_by_shape(place, path, transposed, place.name == first_conv)
        layers[path] = layer
        result.append(replace(place, layer=layer, transposed=transposed))
    return [
        replace(place, layer=_layer_of_bias(place, path, layers))
        if place.role == "bias" and place.layer is None
        else place
        for place, path in zip(result, paths, strict=True)
    ]


def _layer_of_bias(place: Place, path: str, layers: Mapping[str, Layer | None]) -> Layer | None:
    own = layers.get(path) or layers.get(path.removesuffix("_bias") + "_weight")
    return own if own and own.bias_shape == place.shape else None


def _is_transposed(place: Place, d: int | None) -> bool:
    """Whether a matrix is stored as (in, out), where its shape and the model's d tell."""
    if d is None or len(place.shape) < 2 or place.shape[-1] == place.shape[-2]:
        return False
    inputs_first = place.role in {"q", "k", "v", "qkv", "mlp_in", "head"}
    axis = -2 if inputs_first else -1
    other = -1 if inputs_first else -2
    return place.shape[axis] == d != place.shape[other]


def _layer_by_shape(place: Place, path: str, transposed: bool, first: bool) -> Layer | None:
    shape = place.shape
    if place.role in {"embedding", "positions", "relative_bias"} and len(shape) == 2:
        return _layer("embedding", *shape)
    if place.role in {"conv", "conv_transpose"}:
        kernel = shape[2:]
        if place.role == "conv_transpose":
            return _layer(f"conv_transpose{len(kernel)}d", *shape)
        # One input channel a filter: depthwise, but for the first layer, which may see grey images.
        deep = shape[1] == 1 < shape[0] and (bool(_DEPTHWISE.search(path)) or not first)
        groups = shape[0] if deep else 1
        return _layer(f"conv{len(kernel)}d", shape[1] * groups, shape[0], *kernel, groups=groups)
    if len(shape) == 2 or _stacked(place, place.role):
        inputs, outputs = shape[-2:] if transposed else shape[:-3:-1]
        return _layer("linear", inputs, outputs)
    return None


_GATES = {4: ("i", "f", "g", "o"), 3: ("r", "z", "n")}
_MAX_BLOCKS = 4096


def _with_blocks(found: list[Place]) -> list[Place]:
    """Parts to be judged on their own."""
    hidden = _hidden_sizes(found)
    queries: dict[tuple[str, int | None], int] = {}
    for place in found:
        if place.role == "attention_out" and place.layer:
            queries[place.stack, place.depth] = place.layer.fan_in
    result = []
    for place in found:
        if place.blocks:
            pass
        elif place.role in _RECURRENT:
            rows = place.shape[0] if place.shape else 0
            size = hidden.get(_cell(place.name))
            gates = _GATES.get(rows // size, ()) if size and rows % size == 0 else ()
            place = replace(place, blocks=_split(gates, [size or 0] * len(gates)))
        elif place.role in {"qkv", "bias"} and place.layer:
            place = replace(place, blocks=_packed(place, queries.get((place.stack, place.depth))))
        elif _stacked(place, place.role) and place.shape[0] <= _MAX_BLOCKS:
            names = [f"expert {i}" for i in range(place.shape[0])]
            place = replace(place, blocks=_split(names, [1] * len(names)))
        elif place.name.endswith(("gate_up_proj", "gate_up_proj.weight")) and place.layer:
            half, odd = divmod(place.layer.fan_out, 2)
            axis = 1 if place.transposed else 0
            place = replace(place, blocks=() if odd else _split(("gate", "up"), (half, half), axis))
        result.append(place)
    return result


def _cell(name: str) -> str:
    """The recurrent layer a tensor belongs to: its name without which of the tensors it is."""
    return re.sub(r"(?:weight|bias)_(?:ih|hh|hr)", "", name)


def _hidden_sizes(found: list[Place]) -> dict[str, int]:
    """Hidden sizes of the recurrent layers: the input of weight_hh, or of a projection."""
    sizes = {}
    for role in ("recurrent_hidden", "recurrent_projection"):  # a projection knows better
        for place in found:
            if place.role == role and len(place.shape) == 2 and place.shape[1]:
                sizes[_cell(place.name)] = place.shape[1]
    return sizes


def _packed(place: Place, queries: int | None) -> Blocks:
    """q, k and v of a packed projection, or of its bias; grouped-query ones are unequal."""
    assert place.layer is not None
    path = _owner(place.name)[0]
    if place.role == "bias" and not re.search(
        r"c_attn|qkv|in_proj|att_proj|attn\.attn|to_kv", path
    ):
        return ()
    if path.endswith("query_key_value"):  # interleaved head by head
        return ()
    rows, inputs = place.layer.fan_out, place.layer.fan_in
    axis = 1 if place.transposed else 0
    if path.endswith("to_kv"):
        return _split(("k", "v"), (rows // 2, rows // 2), axis)
    q = rows // 3 if rows == 3 * inputs else queries or (rows // 3 if rows % 3 == 0 else rows)
    rest = rows - q
    if rest <= 0 or rest % 2:
        return ()
    return _split(("q", "k", "v"), (q, rest // 2, rest // 2), axis)


def _split(names: Sequence[str], sizes: Sequence[int], axis: int = 0) -> Blocks:
    """Blocks of these sizes along an axis."""
    blocks, start = [], 0
    for name, size in zip(names, sizes, strict=True):
        blocks.append((name, (*[slice(None)] * axis, slice(start, start + size))))
        start += size
    return tuple(blocks)


# --- the model ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dims:
    """Sizes of the whole model, inferred from its places; None where nothing tells.

    d: width of the residual stream. L: blocks of the longest stack. heads, head_dim: of the
    attention. ff: width of the feed-forward layers. vocab: rows of the token embedding.
    """

    d: int | None = None
    L: int | None = None
    heads: int | None = None
    head_dim: int | None = None
    ff: int | None = None
    vocab: int | None = None

    @property
    def sentence(self) -> str:
        """The sizes in words, said to be inferred."""
        names = ("d", "L", "heads", "ff", "vocab")
        known = [f"{name} = {value:,}" for name in names if (value := getattr(self, name))]
        return f"Inferred from names and shapes: {', '.join(known)}." if known else ""


def infer_dims(found: Sequence[Place]) -> Dims:
    """The sizes of a model from all its places."""

    def fan_in(*roles: str) -> int | None:
        return _most_common(p.layer.fan_in for p in found if p.role in roles and p.layer)

    def fan_out(*roles: str) -> int | None:
        return _most_common(p.layer.fan_out for p in found if p.role in roles and p.layer)

    d = fan_in("q", "qkv", "mlp_in") or _width([p for p in found if p.role != "norm"])
    stacks: dict[str, int] = {}
    for place in found:
        if place.depth is not None:
            stacks[place.stack] = max(stacks.get(place.stack, 0), place.depth + 1)
    width = fan_in("attention_out") or fan_out("q")
    heads, head_dim = _heads_of(found, width)
    embeddings = [p for p in found if p.role == "embedding" and len(p.shape) == 2]
    return Dims(
        d=d,
        L=max(stacks.values(), default=None),
        heads=heads,
        head_dim=head_dim,
        ff=fan_in("mlp_out") or fan_out("mlp_in"),
        vocab=max((p.shape[0] for p in embeddings), default=None),
    )


def _heads_of(found: Sequence[Place], width: int | None) -> tuple[int | None, int | None]:
    """(heads, size of a head): said by a module, or by a tensor that is one head wide."""
    heads = _most_common(p.heads for p in found if p.heads)
    if heads is None:
        heads = _most_common(
            p.shape[1] for p in found if p.role == "relative_bias" and len(p.shape) == 2
        )
    head_dim = width // heads if width and heads and width % heads == 0 else None
    if heads is None and width:
        for place in found:
            size = place.shape[0] if len(place.shape) == 1 else 0
            if place.name.endswith("inv_freq"):
                size *= 2
            elif not re.search(r"[qk]_(?:layer)?norm\.weight$", place.name):
                continue
            if size and width % size == 0:
                return width // size, size
    return heads, head_dim
