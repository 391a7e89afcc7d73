"""The inspector: pages in a browser on which people see who is who, and why.

A page is a function from a visit to an answer; HTML is made here, and the browser runs no code but
htmx's, without which every page works too.

    request ─ inspector ─▶ door: who asks, and of which subject ─▶ page ─▶ frame ─▶ answer

- `subject`: what pages know of what they show; `served` is a project of a server.
- `sessions`: who has signed in; `doors`: how a request shows that, and what it may do.
- `visits`: a request with its subject and its fields, as pages take it.
- `frame`, `markup`: what all pages have around them, and their parts.
- `routing`: the pages by their paths.
"""
