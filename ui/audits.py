"""Audits on a page: what is audited, uploads as private files, results kept by their small keys."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from initcore import InitError
from initcore.audit import Audit, audit
from initcore.bugs import BUGS, Bug, get_bug
from initcore.checkpoint import Source, entries
from initcore.closeup import CloseUp, close_up
from initcore.measure import Progress
from initcore.models import MODELS, build_model, get_model
from initcore.recipes import MAX_FILE, RECIPES, Recipe, get_recipe, parse_recipe
from initcore.survey import Study
from ui import controls
from ui.kept import Kept
from ui.show import plain
from ui.work import long_work

# Tensors of an upload: an audit keeps about 6 KB of each.
MOST_TENSORS = 2000
audits: Kept[Hashable, Audit] = Kept(8)
# Each at most 0.8 MB, a heat map of 256² cells.
close_ups: Kept[Hashable, CloseUp] = Kept(24, turn=audits.turn)
_NAME = re.compile(r"\w[\w .+=@()-]{0,199}")


# --- what is audited ----------------------------------------------------------------------------


class Subject(Protocol):
    """What is audited. Equal keys are equal tensors.

    recipe: the one that suits it, "auto" where that is to be found out. code: a Python expression
    for it, then the imports that it needs.
    """

    @property
    def key(self) -> Hashable: ...
    @property
    def title(self) -> str: ...
    @property
    def recipe(self) -> str | Recipe | None: ...
    @property
    def code(self) -> tuple[str, ...]: ...

    def opened(self) -> AbstractContextManager[tuple[Source, Source | None]]:
        """The source, and the one it is compared with; raises InitError where there is none."""


@dataclass(frozen=True)
class BuiltIn:
    """A model of ``MODELS`` with its sizes."""

    slug: str
    sizes: tuple[tuple[str, int], ...]
    seed: int

    @property
    def key(self) -> Hashable:
        return self

    @property
    def title(self) -> str:
        return get_model(self.slug).title

    @property
    def recipe(self) -> str:
        return get_model(self.slug).recipe

    @property
    def code(self) -> tuple[str, ...]:
        sizes = ", ".join(f"{name}={size}" for name, size in self.sizes)
        return (
            f"build_model({self.slug!r}, seed={self.seed}, {sizes})",
            "from initcore.models import build_model",
        )

    @contextmanager
    def opened(self) -> Iterator[tuple[Source, Source | None]]:
        yield build_model(self.slug, seed=self.seed, **dict(self.sizes)), None


@dataclass(frozen=True)
class Known:
    """A bug of ``BUGS``."""

    slug: str
    seed: int

    @property
    def key(self) -> Hashable:
        return self

    @property
    def bug(self) -> Bug:
        return get_bug(self.slug)

    @property
    def title(self) -> str:
        return self.bug.title

    @property
    def recipe(self) -> str | Recipe | None:
        return self.bug.recipe

    @property
    def code(self) -> tuple[str, ...]:
        return f"get_bug({self.slug!r}).build({self.seed})", "from initcore.bugs import get_bug"

    @contextmanager
    def opened(self) -> Iterator[tuple[Source, Source | None]]:
        against = self.bug.against
        yield self.bug.build(self.seed), against(self.seed) if against else None


@dataclass(frozen=True)
class Upload:
    """The files of a checkpoint that a visitor has sent; hostile by assumption."""

    files: tuple[UploadedFile, ...]

    @cached_property
    def key(self) -> Hashable:
        """All that is kept of an upload beside its audit. Who has the same files has the same."""
        return tuple(sorted((file.name, sha256(file.getvalue()).digest()) for file in self.files))

    @property
    def title(self) -> str:
        first = self.files[0].name
        return first if len(self.files) == 1 else f"{first} and {len(self.files) - 1} more"

    @property
    def recipe(self) -> str:
        return "auto"

    @property
    def code(self) -> tuple[str, ...]:
        name = self.files[0].name if len(self.files) == 1 else "checkpoint"
        return f"Path(__file__).with_name({name!r})", "from pathlib import Path"

    def check(self) -> None:
        """Raise InitError for what is not written to a disk."""
        size, most = sum(file.size for file in self.files), st.get_option("server.maxUploadSize")
        if size > most * 10**6:  # as the browser counts
            raise InitError(
                f"the files have {size / 10**6:,.0f} MB together, at most {most} (the server's "
                "maxUploadSize): audit them on your own machine, with initcore audit PATH"
            )
        names = [file.name for file in self.files]
        for name in names:
            if not _NAME.fullmatch(name):
                raise InitError(f"the file name {name[:60]!r}: use letters, digits and . _ - only")
        if len(set(names)) < len(names):
            raise InitError("two of the files have the same name: send each shard once")

    @contextmanager
    def opened(self) -> Iterator[tuple[Source, Source | None]]:
        """The files in a folder that nobody else can read, and that is deleted afterwards."""
        self.check()
        with TemporaryDirectory(prefix="init-explorer-") as folder:
            for file in self.files:
                Path(folder, file.name).write_bytes(file.getvalue())
            path = Path(folder, self.files[0].name) if len(self.files) == 1 else Path(folder)
            try:
                count = len(entries(path))
                if count > MOST_TENSORS:
                    raise InitError(
                        f"{count:,} tensors, at most {MOST_TENSORS:,} on this page: audit them on "
                        "your own machine, with initcore audit PATH"
                    )
                yield path, None
            except InitError as error:
                # Visitors know their files by name, and nothing of where they lay.
                text = str(error).replace(f"{folder}{os.sep}", "").replace(folder, "the upload")
                raise InitError(text) from None


# --- controls -----------------------------------------------------------------------------------

EXAMPLE = {"source": "bug", "bug": "depth_scaling_lost", "recipe": "suited"}


def subject() -> BuiltIn | Known | None:
    """What is audited, from the sidebar's controls; None where it is to be uploaded."""
    source = controls.choice(
        "Audit",
        ["upload", "model", "bug"],
        "upload",
        "source",
        "upload: a checkpoint of yours. model: a built-in one. bug: a fault of a real project.",
    )
    if source == "upload":
        return None
    if source == "bug":
        slug = controls.choice(
            "Bug", [bug.slug for bug in BUGS], BUGS[0].slug, "bug", "Real faults, rebuilt."
        )
        return Known(slug, controls.seed())
    slug = controls.choice(
        "Model", [model.slug for model in MODELS], "gpt", "model", "Filled by its own recipe."
    )
    sizes = []
    columns = st.columns(2)
    for i, size in enumerate(get_model(slug).sizes):
        with columns[i % 2]:
            key = f"{slug}.{size.name}"
            value = controls.whole(size.name, size.default, key, size.low, size.high, size.help)
        sizes.append((size.name, value))
    return BuiltIn(slug, tuple(sizes), controls.seed())


def recipe(suited: str | Recipe | None) -> str | Recipe | None:
    """What it is held against, from the sidebar's controls; raises InitError for a wrong file."""
    chosen = controls.choice(
        "Recipe",
        ["suited", "auto", "none", *(record.slug for record in RECIPES), "toml"],
        "suited",
        "recipe",
        "suited: what the model or the bug should follow, auto for an upload. auto: the one that "
        "fits best. none: judged by principle. toml: one of your own.",
    )
    if chosen == "toml":
        return _own_recipe()
    return {"suited": suited, "none": None}.get(chosen, chosen)


def has_own_recipe() -> bool:
    """Whether the recipe is one of the visitor's, which no link holds."""
    return bool(st.session_state["recipe"] == "toml")


def _own_recipe() -> Recipe:
    file = st.file_uploader("Recipe file", type="toml", help="Or write it below.")
    text = st.text_area("Recipe", get_recipe("nanogpt").as_toml(), height=320, disabled=bool(file))
    if file is None:
        return parse_recipe(text)
    try:
        return parse_recipe(file.getvalue()[: MAX_FILE + 1].decode(), "recipe")
    except UnicodeDecodeError:
        raise InitError(f"{file.name[:60]!r} is no text") from None


def upload() -> Upload | None:
    """The checkpoint that is sent; None until there is one."""
    most = st.get_option("server.maxUploadSize")
    files = st.file_uploader(
        f"Checkpoint: up to {most} MB and {MOST_TENSORS:,} tensors",
        type=["safetensors", "pt", "pth", "bin", "json"],
        accept_multiple_files=True,
        help="A .safetensors or .pt file, or all shards of one with their index. Deleted after the "
        "audit; no code in it is run.",
    )
    return Upload(tuple(files)) if files else None


# --- the work -----------------------------------------------------------------------------------


def audited(what: Subject, held: str | Recipe | None) -> Audit:
    """The audit, with progress and Cancel while it is made; raises InitError as ``audit`` does."""
    key = what.key, held
    made = audits.get(key)
    if made is None:
        with long_work(f"Auditing {plain(what.title)}", "audit", "Audit") as progress:

            def make() -> Audit:
                with what.opened() as (source, against):
                    found = audit(source, held, against=against, progress=_named(progress))
                return replace(found, source="")

            made = audits.get_or_make(key, make, progress)
    return replace(made, source=what.title)


def closed_up(what: Subject, study: Study) -> CloseUp:
    """A close-up of one tensor; raises InitError as ``close_up`` does."""
    key = what.key, study.name
    if (kept := close_ups.get(key)) is not None:
        return kept

    def make() -> CloseUp:
        with what.opened() as (source, _):
            return close_up(source, study)

    with st.spinner("Reading the tensor …"):
        return close_ups.get_or_make(key, make)


def _named(progress: Progress) -> Progress:
    return lambda share, now="": progress(share, plain(now[:60]))
