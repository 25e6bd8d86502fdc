"""Guard: a pytest file that fails when a model is not initialised as a recipe has it.

>>> from initcore.recipes import get_recipe
>>> imports = "from initcore.models import build_model"
>>> print(guard(get_recipe("gpt2"), "build_model('gpt')", imports))
'''Every tensor is initialised as the recipe has it: GPT-2 as released.'''
<BLANKLINE>
from initcore import assert_init
from initcore.models import build_model
<BLANKLINE>
RECIPE = 'gpt2'
<BLANKLINE>
<BLANKLINE>
def model():
    '''What is checked: put your own model here, just constructed.'''
    return build_model('gpt')
<BLANKLINE>
<BLANKLINE>
def test_every_tensor_is_as_the_recipe_has_it():
    assert_init(model(), RECIPE)
<BLANKLINE>
"""

from __future__ import annotations

from initcore.recipes import RECIPES, Recipe


def guard(recipe: Recipe, source: str, *imports: str) -> str:
    """The file's text.

    source: a Python expression for what is checked, a module or the path of a checkpoint, and
    imports: the lines it needs. A recipe that is not built in is written into the file.
    """
    lines = {"from initcore import assert_init", *imports}
    stated = repr(recipe.slug)
    if recipe not in RECIPES:
        lines.add("from initcore.recipes import parse_recipe")
        stated = f"parse_recipe({_long(recipe.as_toml())})"
    standard = [line for line in lines if "initcore" not in line]
    ours = [line for line in lines if "initcore" in line]
    head = "\n\n".join("\n".join(sorted(group)) for group in (standard, ours) if group)
    return f"""'''Every tensor is initialised as the recipe has it: {_plain(recipe.title)}.'''

{head}

RECIPE = {stated}


def model():
    '''What is checked: put your own model here, just constructed.'''
    return {source}


def test_every_tensor_is_as_the_recipe_has_it():
    assert_init(model(), RECIPE)
"""


def _plain(title: str) -> str:
    return " ".join(title.replace("'", "").replace("\\", "").split())


def _long(text: str) -> str:
    """A literal of several lines, where nothing in the text ends it early."""
    simple = '"""' not in text and not text.endswith('"')
    return f'r"""\n{text}"""' if simple else repr(text)
