"""The pytest file that asserts a recipe: it passes on a right model and fails on a wrong one."""

import pytest

from initcore.guard import guard
from initcore.recipes import RECIPES, get_recipe, parse_recipe

BUILD = "from initcore.models import build_model"
OWN = parse_recipe(
    """
    title = "My '''GPT\\\\ "
    [[rule]]
    role = "embedding|positions|qkv|mlp_in"
    law = "normal"
    std = "0.02"
    [[rule]]
    name = '.*c_proj\\.weight'
    law = "normal"
    std = "0.02 / sqrt(2 * L)"
    """,
    "own.toml",
)


def run(text):
    """What pytest does with the file."""
    names = {}
    exec(compile(text, "test_init.py", "exec"), names)
    names["test_every_tensor_is_as_the_recipe_has_it"]()


@pytest.mark.parametrize("recipe", [get_recipe("nanogpt"), OWN], ids=["built in", "own"])
def test_it_passes_where_the_recipe_holds_and_fails_where_it_does_not(recipe):
    run(guard(recipe, "build_model('gpt', width=64, blocks=3)", BUILD))
    broken = guard(recipe, "spoiled(build_model('gpt', width=64, blocks=3))", BUILD)
    spoil = """
def spoiled(it):
    it.transformer.h[1].mlp.c_proj.weight.data *= 2
    return it
"""
    with pytest.raises(AssertionError, match=r"transformer\.h\.1\.mlp\.c_proj\.weight"):
        run(broken + spoil)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.slug)
def test_every_recipe_has_such_a_file(recipe):
    text = guard(recipe, "None")
    compile(text, "test_init.py", "exec")
    assert repr(recipe.slug) in text


def test_a_recipe_of_ones_own_stands_in_the_file_whole():
    names = {}
    exec(guard(OWN, "None").partition("\n\n\ndef model")[0], names)
    assert names["RECIPE"].rules == OWN.rules
