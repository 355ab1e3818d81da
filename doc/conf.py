# SPDX-License-Identifier: BSD-2-Clause
"""Sphinx: the manual as HTML, and the man pages, from the same sources.

The version is Meson's, from the top-level meson.build.  Nothing is fetched, and
the pages load nothing from elsewhere.
"""
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[1]

project = 'qrelay'
author = 'the qrelay authors'
project_copyright = author
release = re.search(r"^\s*version: '([^']+)'",
                    (TOP / 'meson.build').read_text(), re.M).group(1)
version = release

root_doc = 'index'
highlight_language = 'none'
nitpicky = True
smartquotes = False         # what is quoted here is often to be typed
templates_path = []

html_theme = 'alabaster'
html_theme_options = {
    'description': 'a QMQP relay steered by a Lua script',
    'fixed_sidebar': True,
    'page_width': 'min(69em, 96vw)',    # a line of 80 characters fits
    'show_relbars': True,
    'sidebar_width': '15em',
}
html_title = f'qrelay {release}'
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False

man_pages = [
    # the first document, the page's name, its one line, authors, section
    ('man/cm4all-qrelay', 'cm4all-qrelay', 'QMQP relay steered by a Lua script',
     '', 8),
    ('manual/configuration', 'qrelay-config',
     'configuration script of cm4all-qrelay', '', 5),
    ('man/qrelay-sendmail', 'qrelay-sendmail', 'submit a mail by QMQP', '', 1),
    ('man/qrelay-sink', 'qrelay-sink',
     'QMQP server that delivers to a Maildir', '', 1),
]
man_show_urls = True
