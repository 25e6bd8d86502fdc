"""Checkpoints: the tensors of a model, a state dict or a file, by name, without loading them.

>>> from torch import nn
>>> [(entry.name, entry.shape, entry.dtype) for entry in entries(nn.Linear(3, 2))]
[('weight', (2, 3), 'float32'), ('bias', (2,), 'float32')]

Names, shapes and dtypes are known before any value is read. Values are read from files with plain
reads, in pieces, so that memory stays bounded and a file that shrinks meanwhile is an error and no
crash. Files are hostile by assumption: no code of theirs runs, what they declare is checked against
their size before anything is allocated, and whatever is wrong is one InitError.
"""

from __future__ import annotations

import io
import json
import math
import mmap
import os
import pickle
import pickletools
import stat
import struct
import warnings
import zipfile
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from initcore.draw import DTYPES
from initcore.errors import InitError

Source = nn.Module | Mapping[str, Tensor] | str | os.PathLike[str]

# More tensors than these are refused before they are listed; the largest mixtures of experts have
# more in all their shards together, and are audited shard by shard.
MAX_TENSORS = 50_000
# The indexes of files are parsed in memory, where Python needs up to 30 times their size.
MAX_HEADER = 16 * 2**20
MAX_INDEX = 300 * 10**6
_MAX_NAME, _MAX_RANK = 1000, 64
# The largest piece that is read at once; whoever reads a tensor in pieces reads no larger ones.
PIECE = 2**24


class Values(Protocol):
    """Where the values of a tensor are. Small, or cut to what is asked for, when pickled."""

    def read(self, start: int, stop: int) -> Tensor:
        """The values start to stop of the flattened tensor, in its dtype.

        They may be a file's, mapped for as long as they are held.
        """

    def part(self, start: int, stop: int) -> Values:
        """What a worker needs in order to read start to stop, and no more, then from 0 on."""


@dataclass(frozen=True)
class Entry:
    """One tensor of a source.

    dtype: torch's name, without the "torch.". values: where to read them; None where they cannot
    be measured, and ``note`` says why. memory: equal for tensors that share their memory and shape.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    values: Values | None = field(repr=False, compare=False)
    memory: Hashable = field(repr=False, compare=False, default=None)
    note: str = ""

    @property
    def count(self) -> int:
        return math.prod(self.shape)


def entries(source: Source) -> list[Entry]:
    """The tensors of a source, in its order.

    A module's are its parameters, then its buffers, with a tied one under each of its names; a
    path leads to a ``.safetensors`` or ``.pt`` file, to the ``.index.json`` of a sharded one, or to
    a folder of shards. Raises InitError for a source that is none of these, damaged or hostile.
    """
    if isinstance(source, nn.Module):
        named: dict[str, Tensor] = dict(source.named_parameters(remove_duplicate=False))
        named |= dict(source.named_buffers(remove_duplicate=False))
        found = _of_tensors(named)
    elif isinstance(source, Mapping):
        found = _of_tensors(_flat(_state_dict(source, "the state dict")))
    elif isinstance(source, str | os.PathLike):
        found = _of_path(Path(source))
    else:
        raise InitError(
            f"{type(source).__name__}: give a module, a state dict, or the path of a checkpoint"
        )
    if not found:
        raise InitError(f"{title_of(source)} holds no tensors")
    return found


def title_of(source: Source) -> str:
    """The path of a source, or the type of what is in memory."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return type(source).__name__


# --- tensors in memory ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Held:
    """Values in memory, on any device."""

    tensor: Tensor

    def read(self, start: int, stop: int) -> Tensor:
        return self.tensor.detach().reshape(-1)[start:stop].cpu()

    def part(self, start: int, stop: int) -> _Held:
        return _Held(self.tensor.detach().reshape(-1)[start:stop])

    def __reduce__(self) -> tuple[Any, ...]:
        # A tensor would take its whole storage along; torch also has its own ways with processes.
        flat = self.tensor.detach().reshape(-1).cpu().contiguous()
        return _unpickle_held, (flat.view(torch.uint8).numpy().tobytes(), flat.dtype)


def _unpickle_held(raw: bytes, dtype: torch.dtype) -> _Held:
    return _Held(torch.frombuffer(bytearray(raw), dtype=dtype))


def _of_tensors(named: Mapping[str, Tensor]) -> list[Entry]:
    return [_of_tensor(name, tensor) for name, tensor in named.items()]


def _of_tensor(name: str, tensor: Tensor) -> Entry:
    if is_lazy(tensor):
        raise InitError(f"{name} has no shape yet: run the lazy module's first forward pass")
    shape, dtype = tuple(tensor.shape), _dtype_name(tensor.dtype)
    note = _why_not(shape, dtype)
    if not note and tensor.device.type == "meta":
        note = "it is on the meta device, which holds no values"
    if not note and tensor.layout is not torch.strided:
        note = f"its layout is {tensor.layout}, which is not dense"
    if note:
        return Entry(name, shape, dtype, None, note=note)
    memory = (tensor.device, tensor.data_ptr(), tensor.stride(), shape)
    return Entry(name, shape, dtype, _Held(tensor), memory)


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _why_not(shape: tuple[int, ...], dtype: str) -> str:
    """Why such a tensor is listed without being measured; empty if it is measured."""
    if dtype not in DTYPES:
        return f"{dtype} is not measured: that takes one of {', '.join(DTYPES)}"
    return "" if math.prod(shape) else "it is empty"


# Where the model's own state dict is found in what people save beside it; the first that is there.
_STATE_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "module", "net", "params")


def _state_dict(found: object, title: str) -> Mapping[Any, Any]:
    """The part of a saved object that holds the model's tensors."""
    for _ in range(8):
        if isinstance(found, Tensor):
            return {"tensor": found}
        if isinstance(found, nn.Module):
            return dict(found.state_dict())
        if not isinstance(found, Mapping):
            break
        inner = [key for key in _STATE_KEYS if isinstance(found.get(key), Mapping)]
        if not inner:
            return found
        found = found[inner[0]]
    raise InitError(f"{title} holds a {type(found).__name__}, not a state dict of named tensors")


def _flat(found: Mapping[Any, Any], prefix: str = "", depth: int = 0) -> dict[str, Tensor]:
    """The tensors of nested dicts, under their keys joined with dots; whatever else is left out."""
    named: dict[str, Tensor] = {}
    for key, value in found.items():
        name = f"{prefix}{key}"
        if isinstance(value, Tensor):
            named[name] = value
        elif isinstance(value, Mapping) and depth < 8:
            named |= _flat(value, f"{name}.", depth + 1)
        if len(named) > MAX_TENSORS:
            raise InitError(f"more than {MAX_TENSORS:,} tensors, the most that are audited")
    return named


# --- files ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Filed:
    """Values in a file, from byte ``offset`` on, without the first ``skip``.

    ``stride``: where they are not in their order; such a tensor is small, and read whole.
    """

    path: str
    offset: int
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...] | None = None
    skip: int = 0

    def read(self, start: int, stop: int) -> Tensor:
        dtype = DTYPES[self.dtype]
        first, last = self.skip + start, self.skip + stop
        if self.stride is not None:
            raw = self._bytes(0, _reach(self.shape, self.stride))
            stored = torch.frombuffer(raw, dtype=dtype).as_strided(self.shape, self.stride)
            return stored.reshape(-1)[first:last]
        return torch.frombuffer(self._bytes(first, last), dtype=dtype)

    def part(self, start: int, stop: int) -> _Filed:
        return replace(self, skip=self.skip + start)

    def _bytes(self, first: int, last: int) -> Any:
        """The bytes of values first to last, mapped: reading them would be a copy more."""
        size = DTYPES[self.dtype].itemsize
        start, stop = self.offset + first * size, self.offset + last * size
        page = start - start % mmap.ALLOCATIONGRANULARITY
        try:
            with open(self.path, "rb") as file:
                if os.fstat(file.fileno()).st_size < stop:
                    raise InitError(f"{self.path} became shorter while it was read: audit it again")
                # As a copy of its own where it is written to: torch wants memory it may write.
                mapped = mmap.mmap(file.fileno(), stop - page, access=mmap.ACCESS_COPY, offset=page)
        except OSError as error:
            raise InitError(f"{self.path}: {error.strerror}") from None
        found = memoryview(mapped)[start - page :]
        return bytearray(found) if start % size else found  # numbers must lie at their own size


def _reach(shape: tuple[int, ...], stride: tuple[int, ...]) -> int:
    """How many values of the storage a tensor spans."""
    return sum((n - 1) * step for n, step in zip(shape, stride, strict=True)) + 1


def _of_path(path: Path) -> list[Entry]:
    if path.is_dir():
        return _of_folder(path)
    if path.name.endswith(".json"):
        return _of_index(path)
    return _of_file(path)


def _of_file(path: Path) -> list[Entry]:
    try:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InitError(f"{path} is not a file")
            start = file.read(9)
    except OSError as error:
        raise InitError(f"{path}: {error.strerror}") from None
    if not start:
        raise InitError(f"{path} is empty")
    if start.startswith(b"PK\x03\x04"):
        return _of_torch(path)
    if path.suffix == ".safetensors" or start[8:] == b"{":
        return _of_safetensors(path)
    if start.startswith(b"\x80"):
        raise InitError(
            f"{path} is a pickle, or torch's format before 1.6: save the state dict again with "
            "torch.save, or as .safetensors"
        )
    raise InitError(f"{path} is neither a .safetensors file nor one of torch.save")


def _of_folder(folder: Path) -> list[Entry]:
    indexes = sorted(folder.glob("*.index.json"))
    if len(indexes) > 1:
        names = ", ".join(_name(index.name) for index in indexes[:4])
        raise InitError(f"{folder} holds several indexes: name one of {names}")
    if indexes:
        return _of_index(indexes[0])
    for suffixes in ((".safetensors",), (".pt", ".pth", ".bin")):
        shards = sorted(path for path in folder.iterdir() if path.suffix in suffixes)
        if shards:
            return _join(folder, shards)
    raise InitError(f"{folder} holds no .safetensors, .pt, .pth or .bin file")


def _join(title: Path, shards: list[Path]) -> list[Entry]:
    """The tensors of several files, each name once."""
    found: dict[str, Entry] = {}
    for shard in shards:
        for entry in _of_file(shard):
            if entry.name in found:
                raise InitError(
                    f"{title}: {_name(entry.name)} is in more than one file; audit one file, or "
                    "gather the parts of the tensors first"
                )
            found[entry.name] = entry
        if len(found) > MAX_TENSORS:
            raise InitError(f"{title} holds more than {MAX_TENSORS:,} tensors, the most audited")
    return list(found.values())


def _of_index(index: Path) -> list[Entry]:
    try:
        size = index.stat().st_size
        if size > MAX_HEADER:
            raise InitError(f"{index} has {size:,} bytes; an index has at most {MAX_HEADER:,}")
        declared = _json(index.read_bytes(), index)
    except OSError as error:
        raise InitError(f"{index}: {error.strerror}") from None
    shard_of = declared.get("weight_map")
    if not isinstance(shard_of, dict) or not shard_of:
        raise InitError(f"{index} has no weight_map that says which file holds which tensor")
    shards = []
    for name in sorted({str(value) for value in shard_of.values()}):
        # A bare name, so that an index reaches no file outside its own folder.
        if Path(name).name != name or "\\" in name or name in ("", ".", ".."):
            raise InitError(f"{index} points to {_name(name)}, outside its own folder")
        if name.endswith(".json") or not (index.parent / name).is_file():
            raise InitError(f"{index} points to {_name(name)}, which is not there")
        shards.append(index.parent / name)
    found = _join(index, shards)
    missing = shard_of.keys() - {entry.name for entry in found}
    if missing:
        raise InitError(f"{index}: {_name(min(missing))} is in none of its files")
    return found


def _name(name: str) -> str:
    """A name from a file, for a message: quoted, escaped and short."""
    return repr(name if len(name) <= 80 else f"{name[:77]}…")


def _json(raw: bytes, path: Path) -> dict[str, Any]:
    """A JSON object; raises InitError for anything else, and for a key that stands there twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            seen: set[str] = set()
            double = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise InitError(f"{path} names {_name(double)} twice")
        return result

    # Each tensor has one object and two lists.
    if raw.count(b"{") + raw.count(b"[") > 4 * MAX_TENSORS:
        raise InitError(f"{path} declares more than {MAX_TENSORS:,} tensors, the most audited")
    try:
        value = json.loads(raw.decode(), object_pairs_hook=once)
    except InitError:
        raise
    except (ValueError, RecursionError):  # bad UTF-8 is a ValueError, too
        raise InitError(f"the header of {path} is not JSON: the file is damaged") from None
    if not isinstance(value, dict):
        raise InitError(f"the header of {path} is not a JSON object: the file is damaged")
    return value


# --- safetensors ---------------------------------------------------------------------------------

# The format's names: torch's name and bits of an element.
_SAFETENSORS: dict[str, tuple[str, int]] = {
    "F64": ("float64", 64),
    "F32": ("float32", 32),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "F8_E5M2": ("float8_e5m2", 8),
    "F8_E4M3": ("float8_e4m3fn", 8),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8),
    "F8_E8M0": ("float8_e8m0fnu", 8),
    "F6_E2M3": ("float6_e2m3", 6),
    "F6_E3M2": ("float6_e3m2", 6),
    "F4": ("float4_e2m1", 4),
    "C64": ("complex64", 64),
    "I64": ("int64", 64),
    "I32": ("int32", 32),
    "I16": ("int16", 16),
    "I8": ("int8", 8),
    "U64": ("uint64", 64),
    "U32": ("uint32", 32),
    "U16": ("uint16", 16),
    "U8": ("uint8", 8),
    "BOOL": ("bool", 8),
}


def _of_safetensors(path: Path) -> list[Entry]:
    """The tensors of a safetensors file; its header is checked here, not by the library.

    Source: the format as its authors describe it, https://github.com/huggingface/safetensors.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > size - 8:
            raise InitError(
                f"{path} is cut short or no safetensors file: it has {size:,} bytes, and its "
                f"header would take {length:,}"
            )
        if length > MAX_HEADER:
            raise InitError(f"{path} has a header of {length:,} bytes; at most {MAX_HEADER:,}")
        header = _json(file.read(length), path)
    header.pop("__metadata__", None)
    data = 8 + length
    spans: list[tuple[int, int]] = []
    found = []
    for name, declared in header.items():
        entry, span = _declared(path, name, declared, data)
        found.append(entry)
        spans.append(span)
    end = 0
    for first, last in sorted(spans):
        if first != end:
            kind = "overlap" if first < end else "leave a gap"
            raise InitError(f"{path} is damaged: its tensors {kind} at byte {data + first:,}")
        end = last
    if data + end != size:
        raise InitError(
            f"{path} is cut short or damaged: its header speaks of {data + end:,} bytes, and it "
            f"has {size:,}"
        )
    return found


def _declared(path: Path, name: str, declared: Any, data: int) -> tuple[Entry, tuple[int, int]]:
    """A tensor as the header declares it, and the bytes of the data that it claims."""

    def refuse(why: str) -> NoReturn:
        raise InitError(f"{path} is damaged: {_name(name)} {why}")

    if len(name) > _MAX_NAME:
        refuse(f"is a name of {len(name):,} characters")
    try:
        code, shape, span = declared["dtype"], declared["shape"], declared["data_offsets"]
    except (TypeError, KeyError):
        refuse("has no dtype, shape and data_offsets")
    whole = [*shape, *span] if isinstance(shape, list) and isinstance(span, list) else [None]
    if not all(type(n) is int and 0 <= n < 2**63 for n in whole):
        refuse("has a shape or offsets that are no whole numbers from 0 on")
    if len(span) != 2 or len(shape) > _MAX_RANK:
        refuse(f"has {len(span)} offsets and {len(shape)} dimensions")
    if not isinstance(code, str) or code not in _SAFETENSORS:
        refuse(f"has the unknown dtype {_name(str(code))}")
    dtype, bits = _SAFETENSORS[code]
    if (math.prod(shape) * bits + 7) // 8 != span[1] - span[0]:
        refuse(f"of shape {shape} and dtype {code} does not fill bytes {span[0]:,} to {span[1]:,}")
    sizes, offset = tuple(shape), data + span[0]
    note = _why_not(sizes, dtype)
    values = None if note else _Filed(str(path), offset, dtype, sizes)
    memory = None if note else (str(path), offset, sizes)
    return Entry(name, sizes, dtype, values, memory, note), (span[0], span[1])


# --- torch.save ----------------------------------------------------------------------------------

# What the pickle of a state dict may name. torch.load has such a list, too, but a longer one, and
# some of it makes a small file into a large allocation.
_ALLOWED = {
    "collections OrderedDict",
    "torch Size",
    "torch device",
    "torch.nn.parameter Parameter",
    "torch.serialization _get_layout",
    "torch.storage UntypedStorage",
    "torch.storage TypedStorage",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_parameter_with_state",
    "builtins set",
    "__builtin__ set",
    *(f"torch {name}" for name in dir(torch) if isinstance(getattr(torch, name), torch.dtype)),
    *(f"torch {kind.__name__}" for kind in torch._storage_classes),
}
# Bytes in memory that an instruction of a pickle costs at most, where it is more than the 64 of a
# small object.
_COSTS = {"EMPTY_SET": 216, "MARK": 150, "REDUCE": 1500, "NEWOBJ": 1500, "BINPERSID": 700}


def _of_torch(path: Path) -> list[Entry]:
    """The tensors of a file of ``torch.save``, with their place in it; no value is read."""
    size = path.stat().st_size
    _check_zip(path, size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # On the meta device torch reads no values, and notes where each storage begins.
            loaded = torch.load(path, map_location="meta", weights_only=True)
    except pickle.UnpicklingError:
        raise InitError(
            f"{path} holds more than tensors, which would take running its code: save the "
            "module's state_dict() alone, or as .safetensors"
        ) from None
    except MemoryError:
        raise InitError(f"{path} is damaged: it asks for more memory than there is") from None
    except Exception as error:  # torch raises what the damaged bytes lead to
        raise InitError(f"{path} is damaged: torch says {type(error).__name__}") from None
    return [
        _stored(path, name, tensor, size)
        for name, tensor in _flat(_state_dict(loaded, str(path))).items()
    ]


def _check_zip(path: Path, size: int) -> None:
    """Refuse an archive that torch.save did not write: compressed, inflated, or with code."""
    with open(path, "rb") as file:
        _check_directory(path, file, size)
        try:
            with zipfile.ZipFile(file) as archive:
                records = archive.infolist()
                if len(records) > MAX_TENSORS + 100:
                    raise InitError(
                        f"{path} holds more than {MAX_TENSORS:,} tensors, the most audited"
                    )
                for record in records:
                    stored = record.compress_type == zipfile.ZIP_STORED
                    if not stored or record.file_size != record.compress_size:
                        raise InitError(
                            f"{path} is compressed, which torch.save never does: it is not opened"
                        )
                if sum(record.file_size for record in records) > size:
                    raise InitError(f"{path} is damaged: its records are larger than the file")
                names = {record.filename: record for record in records}
                if len(names) < len(records):
                    raise InitError(f"{path} is damaged: two of its records have one name")
                pickles = [name for name in names if name.endswith("/data.pkl")]
                if len(pickles) != 1 or pickles[0].count("/") != 1:
                    raise InitError(f"{path} is a zip archive, but none of torch.save")
                root = pickles[0].partition("/")[0]
                if f"{root}/constants.pkl" in names:
                    raise InitError(f"{path} is TorchScript: save its state_dict() instead")
                if f"{root}/byteorder" in names and archive.read(f"{root}/byteorder") != b"little":
                    raise InitError(f"{path} was saved by a big-endian machine: save it again")
                if names[pickles[0]].file_size > MAX_HEADER:
                    raise InitError(f"{path} has an index of over {MAX_HEADER:,} bytes")
                index = archive.read(pickles[0])
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError):
            raise InitError(f"{path} is damaged: not a whole zip archive") from None
    _check_pickle(path, index)


def _check_directory(path: Path, file: io.BufferedReader, size: int) -> None:
    """Bound the number of records before Python's zipfile makes an object of each."""
    file.seek(max(size - 22, 0))
    end = file.read(22)
    if len(end) < 22 or not end.startswith(b"PK\x05\x06") or end[20:] != b"\0\0":
        raise InitError(f"{path} is damaged: the end of its archive is missing")
    length = struct.unpack("<I", end[12:16])[0]
    if length == 0xFFFFFFFF and size >= 98:
        file.seek(size - 98)
        record = file.read(56)
        if not record.startswith(b"PK\x06\x06"):
            raise InitError(f"{path} is damaged: the end of its archive is missing")
        length = struct.unpack("<Q", record[40:48])[0]
    if length > MAX_HEADER:
        raise InitError(f"{path} holds more than {MAX_TENSORS:,} tensors, the most audited")


def _check_pickle(path: Path, index: bytes) -> None:
    """Refuse a pickle that names more than tensors, or that would grow large in memory."""
    cost = 0
    try:
        for instruction, argument, _ in pickletools.genops(index):
            cost += _COSTS.get(instruction.name, 64)
            if isinstance(argument, str | bytes):
                cost += len(argument)
            if instruction.name == "GLOBAL" and argument not in _ALLOWED:
                raise InitError(
                    f"{path} holds more than tensors ({_name(str(argument).replace(' ', '.'))}), "
                    "which would take running its code: save the module's state_dict() alone, or "
                    "as .safetensors"
                )
            if cost > MAX_INDEX:
                raise InitError(f"{path} has an index that takes over {MAX_INDEX:,} bytes to read")
    except InitError:
        raise
    except Exception:  # whatever the damaged bytes lead to
        raise InitError(f"{path} is damaged: its index cannot be read") from None


def _stored(path: Path, name: str, tensor: Tensor, size: int) -> Entry:
    """A tensor of the meta device as an entry, its place checked against the file."""
    shape, dtype = tuple(tensor.shape), _dtype_name(tensor.dtype)
    if len(name) > _MAX_NAME:
        raise InitError(f"{path} is damaged: a name of {len(name):,} characters")
    note = _why_not(shape, dtype)
    storage = tensor.untyped_storage()
    base: int | None = getattr(storage, "_checkpoint_offset", None)
    if base is None:
        note = note or "it was saved without values"
    if note or base is None:
        return Entry(name, shape, dtype, None, note=note)
    steps = tensor.stride()
    reach = _reach(shape, steps)
    offset = base + int(tensor.storage_offset()) * tensor.itemsize
    inside = tensor.storage_offset() >= 0 and min(steps, default=0) >= 0
    if not inside or offset + reach * tensor.itemsize > min(base + storage.nbytes(), size):
        raise InitError(f"{path} is damaged: {_name(name)} reaches beyond its values")
    stride = None if tensor.is_contiguous() else steps
    if stride and (tensor.numel() > PIECE or reach > PIECE):
        note = "its values are not stored in their order, and it is too large to sort"
        return Entry(name, shape, dtype, None, note=note)
    memory = (str(path), offset, steps, shape)
    return Entry(name, shape, dtype, _Filed(str(path), offset, dtype, shape, stride), memory)


def in_pieces(entry: Entry) -> Iterator[tuple[int, int]]:
    """(start, stop) of the pieces that a tensor is read in: whole rows of at most PIECE values.

    They depend on the shape alone, so that results do not depend on who computes them. A row
    larger than PIECE is cut.
    """
    row = max(entry.count // entry.shape[0], 1) if entry.shape else 1
    step = PIECE // row * row or PIECE
    for start in range(0, entry.count, step):
        yield start, min(start + step, entry.count)
