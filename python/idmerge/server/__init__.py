"""A server that Mixpanel's clients send their events to, on one machine (`idmerge serve`).

A request becomes records, the log has them on disk before they are acknowledged, and the pipeline
applies them in their order to each project's journal and profiles:

    request ─ app ─▶ records ─▶ log (on disk) ─▶ answer
                                 ├▶ pipeline ─▶ journals and profiles, with their places in the log
                                 └▶ store ─▶ sealed files, for exports and feeds

- `records`: what a request leaves behind.
- `log`: the records of all projects, on disk; `segments` has its files' form.
- `directory`: the files of a server, and its settings.
- `pipeline`: the thread that applies the log; `places` has the names of places in it.
- `people`: profiles that last.
- `store`: the events of the log as Parquet, sorted by person, and what reads them.
- `server`: all of these, opened and closed together.
- `counts`: what is counted meanwhile, for ``/metrics``.
- `app`: the answers to requests; `serving` runs it on uvicorn.
"""
