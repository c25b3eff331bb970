"""The words by which the troubleshooting page tells failures of class Storage apart are those that the trainer says."""

import errno
import os
import re
import socket
import ssl
from typing import Dict

import pytest
from urllib3 import exceptions

from bert_trainer.fetch.source import TransientError, check_status, reason_of
from support.trainer.places import PROJECT

PAGE = PROJECT / "operator/docs/troubleshooting.md"

OF_FILES = ("ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS", "ESTALE", "EIO")
"""Passed on by the operating system's words, as test_fetch.py and output/test_folder.py show."""


def of_system(name: str) -> str:
    return os.strerror(getattr(errno, name))


def of_server(status: int) -> str:
    with pytest.raises(TransientError) as raised:
        check_status(status)
    return " ".join(str(raised.value).split()[:2])


def new_connection(reason: OSError) -> exceptions.NewConnectionError:
    error = exceptions.NewConnectionError(None, "failed")
    error.__cause__ = reason
    return error


def of_network() -> Dict[str, str]:
    """What is said of each failure, by the page's words for it."""
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    passing = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    refused = exceptions.ProxyError("Cannot connect to proxy.", OSError("Tunnel connection failed: 403 Forbidden"))
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    untrusted.verify_message = "unable to get local issuer certificate"
    errors = {
        "Name or service not known": new_connection(unknown),
        "Temporary failure in name resolution": new_connection(passing),
        "connect timeout error": exceptions.ConnectTimeoutError(None, "timed out"),
        "read timeout error": exceptions.ReadTimeoutError(None, "https://a/b?secret", "timed out"),
        "proxy error": refused,
        "certificate": untrusted,
    }
    for name in ("ENETUNREACH", "EHOSTUNREACH", "ECONNREFUSED", "ECONNRESET"):
        errors[of_system(name)] = new_connection(OSError(getattr(errno, name), of_system(name)))
    return {words: reason_of(error) for words, error in errors.items()}


def test_the_page_has_the_trainers_words() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("| words of the message |")[2].partition("\n\n")[0]
    told = [words for row in table.splitlines()[2:] for words in re.findall("`([^`]+)`", row.split("|")[1])]
    said = of_network()
    assert all(words in sentence for words, sentence in said.items()), said
    assert sorted(told) == sorted({*map(of_system, OF_FILES), *said, of_server(503)})
