"""Init Explorer: see and check how neural-network weights are initialised."""

import streamlit as st

from ui.entry import ICON, pages, passed_through_app

st.set_page_config(
    page_title="Init Explorer",
    page_icon=ICON,
    layout="wide",
    menu_items={"About": "See and check how neural-network weights are initialised."},
)

st.logo(f"assets/logo-{st.context.theme.type or 'light'}.svg", size="large")
passed_through_app()
st.navigation(pages()).run()
