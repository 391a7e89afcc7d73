"""A server that unmodified Mixpanel SDKs talk to."""

from idmerge.server.requests import Request

__all__ = ["Request"]
