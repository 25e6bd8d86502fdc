"""Init Explorer: see and check how neural-network weights are initialised."""

import streamlit as st

st.set_page_config(
    page_title="Init Explorer",
    page_icon="assets/icon.png",
    layout="wide",
    menu_items={"About": "See and check how neural-network weights are initialised."},
)

PAGES = [
    st.Page(
        "pages/layer.py",
        title="Layer",
        icon=":material/grid_on:",
        help="Pick a layer and a scheme: see the matrix, its histogram and how it compares.",
        default=True,
    ),
    st.Page(
        "pages/compare.py",
        title="Compare",
        icon=":material/compare:",
        help="Up to six schemes side by side on one layer and one seed.",
    ),
    st.Page(
        "pages/lesson.py",
        title="Lesson",
        icon=":material/school:",
        help="From nn.Linear(5, 5) to Xavier in eight steps, with a guess before each answer.",
    ),
    st.Page(
        "pages/schemes.py",
        title="Schemes",
        icon=":material/category:",
        help="Every scheme: its formula, its law's shape, when to use it, the paper.",
    ),
    st.Page(
        "pages/defaults.py",
        title="Defaults",
        icon=":material/fact_check:",
        help="What every torch.nn module does when you construct it, measured now.",
    ),
]

st.navigation(PAGES).run()
