"""One look for every page, chart and picture of a cluster.

Commands and add-ons hand over plain data and get back SVG, PNG or HTML, as bytes or text. No module
here imports them. matplotlib and scipy are extras, loaded only when a figure is drawn.

- ``document``: an HTML page in one file, with `style`, the one style sheet
- ``parts``: numbers on cards, bars and findings as HTML, without a library
- ``tables``: cells and rows as HTML
- ``figures``: a figure of matplotlib as SVG or PNG
- ``bars``: a bar chart with several bars a row
- ``graph``: IDs and links of clusters as the nodes and edges of a diagram
- ``layout``: positions of nodes (``stress``), curves of edges and places of ``labels``
- ``rules``: a sentence for each outcome that rejects a link
- ``diagram``: a graph as SVG; ``clusters``: the same as a page, with a table of the links
"""
