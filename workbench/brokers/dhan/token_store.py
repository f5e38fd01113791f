"""The access token in the system's own keyring: never in a file of ours.

Invariant: what was written is read back before anybody is told that it is stored; without a keyring that keeps secrets
nothing is written anywhere.
"""

from __future__ import annotations

import contextlib

import keyring
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError

from workbench.core.errors import WorkbenchError

SERVICE = "workbench"
_WAY_OUT = (
    "put the token into DHAN_ACCESS_TOKEN (environment or .env), or set DHAN_PIN and DHAN_TOTP_SECRET so that one is "
    "made when it is needed; on Linux a keyring comes with gnome-keyring or KWallet"
)


class NoKeyring(WorkbenchError):
    """No keyring on this machine could keep a secret."""


class TokenStore:
    """One client id's token in the keyring.

    Parameters
    ----------
    client_id : str
    backend : KeyringBackend, optional
        Another keyring than the system's.
    """

    def __init__(self, client_id: str, backend: KeyringBackend | None = None) -> None:
        self._name = f"dhan-{client_id}"
        self._backend = backend

    def read(self) -> str | None:
        """Give the stored token; None where there is none, or no keyring."""
        try:
            return self._ring().get_password(SERVICE, self._name) or None
        except KeyringError:
            return None

    def write(self, token: str) -> str:
        """Store a token and give the keyring's name.

        Raises
        ------
        NoKeyring
            There is none, it is locked, or it would keep the token in plain sight.
        """
        return self._put(self._name, token)

    def prove(self) -> str:
        """Give the keyring's name if it keeps what it is given; for whoever is about to make a token for it."""
        name = self._put("proof", "kept")
        with contextlib.suppress(KeyringError):  # it keeps, which was the question
            self._ring().delete_password(SERVICE, "proof")
        return name

    def _put(self, name: str, text: str) -> str:
        ring = self._ring()
        kind = type(ring).__name__
        if "plaintext" in kind.lower():
            raise NoKeyring(f"the keyring of this machine ({kind}) writes plain files; nothing was stored; {_WAY_OUT}")
        try:
            ring.set_password(SERVICE, name, text)
            kept = ring.get_password(SERVICE, name) == text
        except KeyringError as error:
            raise NoKeyring(
                f"no keyring on this machine takes the token ({type(error).__name__}); nothing was stored; {_WAY_OUT}"
            ) from None
        if not kept:
            raise NoKeyring(f"the keyring of this machine ({kind}) keeps nothing; nothing was stored; {_WAY_OUT}")
        return str(ring.name)

    def _ring(self) -> KeyringBackend:
        return self._backend if self._backend is not None else keyring.get_keyring()
