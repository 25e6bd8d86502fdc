"""What one visitor sees, another sees by the address: the same code and the same matrix."""

from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import expect

from initcore import Init, Layer, Spec

CONV = Spec(
    Layer("conv2d", (6, 5, 3)),
    Init("trunc_normal", {"std": 0.05, "a": -0.1}),
    Init("constant", {"val": 0.5}),
    seed=11,
)


def test_the_address_of_what_was_set_opens_the_same(
    server, new_tab, settle, see, code_of, set_number, choose
):
    tab = settle(new_tab(server))
    for act, label, value, shown in (
        (choose, "Layer", "conv2d", "nn.Conv2d(5, 5"),
        (set_number, "in_channels", 6, "nn.Conv2d(6, 5"),
        (set_number, "Seed", 11, "manual_seed(11)"),
        (choose, "Weight scheme", "trunc_normal", "trunc_normal_(layer.weight"),
        (set_number, "std", 0.05, "std=0.05"),
        (set_number, "a", -0.1, "a=-0.1"),
        (choose, "Bias scheme", "constant", "constant_(layer.bias"),
    ):
        act(tab, label, value)
        expect(code_of(tab)).to_contain_text(shown)
        settle(tab)
    see(tab, CONV)
    stated = dict(parse_qsl(urlsplit(tab.url).query))
    assert stated["trunc_normal.std"] == "0.05"
    assert "kernel" not in stated  # what is as it was need not be stated
    other = new_tab(server, "layer", stated)
    see(other, CONV)
    expect(other.get_by_role("alert")).to_have_count(0)


def test_two_visitors_at_once_see_the_same_matrix_and_so_does_the_full_link(server, new_tab, see):
    link = {"scheme": "orthogonal", "in": 12, "out": 9, "dtype": "float64", "seed": 5}
    spec = Spec(Layer("linear", (12, 9)), Init("orthogonal"), seed=5, dtype="float64")
    tabs = [new_tab(server, "layer", link) for _ in range(2)]
    for tab in tabs:
        see(tab, spec)
    full = tabs[0].locator("code", has_text="http").inner_text()
    assert full.startswith(server)
    see(new_tab(server, "layer", dict(parse_qsl(urlsplit(full).query))), spec)


def test_a_wrong_value_is_named_and_leaves_the_address(server, new_tab, settle):
    tab = settle(new_tab(server, "layer", {"in": "-8", "seed": 2}))
    expect(tab.get_by_test_id("stAlert").filter(has_text="in=-8")).to_be_visible()
    expect(tab.get_by_role("spinbutton", name="in_features")).to_have_value("5")
    tab.wait_for_url(lambda url: "in=" not in url and "seed=2" in url)


def test_draw_again_changes_the_matrix_and_reset_restores_it(server, new_tab, see, press):
    first = Spec(Layer("linear", (5, 5)), Init("xavier_uniform"))
    tab = new_tab(server)
    see(tab, first)
    press(tab, "again")
    see(tab, Spec(first.layer, first.weight, seed=1))
    tab.wait_for_url("**seed=1")
    press(tab, "reset")
    see(tab, first)
    tab.wait_for_url(lambda url: "seed" not in url)


def test_open_in_layer_goes_to_the_address_of_the_same_matrix(server, new_tab, settle, see, press):
    link = {"in": 7, "seed": 3, "schemes": ["normal", "uniform"], "normal.std": 0.5}
    tab = settle(new_tab(server, "compare", link))
    press(tab, "open in layer", nth=0)
    spec = Spec(Layer("linear", (7, 5)), Init("normal", {"std": 0.5}), seed=3)
    tab.wait_for_url("**/layer?*scheme=normal*")
    see(tab, spec)
    see(new_tab(server, "layer", dict(parse_qsl(urlsplit(tab.url).query))), spec)
