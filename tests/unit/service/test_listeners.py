from __future__ import annotations

import grp
import os
import socket
import stat
from pathlib import Path

import pytest

from gatepost.config.addresses import SocketAddress
from gatepost.service.daemon import ServiceError
from gatepost.service.listeners import Listeners, bind, bind_inet, set_access


def unix(path: Path, mode: int | None = None, group: str | None = None) -> SocketAddress:
    return SocketAddress("unix", path=str(path), mode=mode, group=group)


def refusal(address: SocketAddress) -> str:
    with pytest.raises(ServiceError) as caught:
        bind(address, None)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listener = bind(unix(path), None)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()
    assert not path.exists()


def test_a_live_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = bind(unix(path), None)
    assert "another process listens" in refusal(unix(path))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()


def test_a_live_socket_with_a_full_queue_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as live, socket.socket(socket.AF_UNIX) as client:
        live.bind(str(path))
        live.listen(0)
        client.connect(str(path))
        assert "does not keep up" in refusal(unix(path))
    assert path.exists()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_text("precious"), "exists and is no socket"),
        (lambda path: path.symlink_to("elsewhere"), "exists and is no socket"),
        (lambda path: path.mkdir(), "exists and is no socket"),
    ],
)
def test_what_is_no_socket_is_left_alone(tmp_path: Path, make, says: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "s"
    make(path)
    before = os.lstat(path)
    assert says in refusal(unix(path))
    assert os.lstat(path) == before


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert f"there is no directory {tmp_path}/no" in refusal(unix(tmp_path / "no" / "s"))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize(("mode", "expected"), [(None, 0o660), (0o600, 0o600), (0o666, 0o666)])
def test_mode_whatever_the_umask(tmp_path: Path, umask: int, mode: int | None, expected: int) -> None:
    before = os.umask(umask)
    try:
        listener = bind(unix(tmp_path / "s", mode), None)
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == expected
    listener.close()


def test_group(tmp_path: Path) -> None:
    # A group that anyone may give a file to: one of our own.
    group = grp.getgrgid(os.getgroups()[-1] if os.getgroups() else os.getgid()).gr_name
    listener = bind(unix(tmp_path / "s", 0o660, group), None)
    assert (tmp_path / "s").group() == group
    listener.close()
    assert "there is no group nosuch" in refusal(unix(tmp_path / "s", None, "nosuch"))


def test_a_link_in_our_place_leads_nowhere(tmp_path: Path) -> None:
    """Whoever may write to the directory could have root change the mode of another file."""
    secret, path = tmp_path / "secret", tmp_path / "socket"
    secret.touch(0o600)
    path.symlink_to(secret)
    with pytest.raises(ServiceError, match=f"{path} was replaced while it was made"):
        set_access(path, 0o666, None, None)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_a_file_that_took_our_place_stays(tmp_path: Path) -> None:
    listener = bind(unix(tmp_path / "s"), None)
    (tmp_path / "s").rename(tmp_path / "ours")
    (tmp_path / "s").write_text("another's")
    listener.close()
    assert (tmp_path / "s").read_text() == "another's"


def test_a_taken_port_says_whom_to_look_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"address 127.0.0.1:{port} is in use" in refusal(SocketAddress("inet", "127.0.0.1", port))


@pytest.mark.parametrize(("port", "owner"), [(8891, "opendkim"), (8893, "opendmarc"), (10023, "postgrey")])
def test_usual_owners(port: int, owner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(_self: socket.socket, _address: object) -> None:
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(socket.socket, "bind", taken)
    assert f"is {owner} still running?" in refusal(SocketAddress("inet", "127.0.0.1", port))


def test_an_address_of_another_host() -> None:
    assert "is no address of this host" in refusal(SocketAddress("inet", "192.0.2.1", 8891))


def test_inet6_is_not_inet() -> None:
    listening = bind_inet(socket.AF_INET6, "::", 0)
    assert listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    listening.close()


def test_a_change_keeps_what_stays_and_undoes_what_fails(tmp_path: Path) -> None:
    a, b, c = (unix(tmp_path / name) for name in "abc")
    listeners = Listeners()
    first = listeners.open([a, b], None)
    (tmp_path / "block").write_text("")
    with pytest.raises(ServiceError):
        listeners.open([b, c, unix(tmp_path / "block")], None)
    assert not (tmp_path / "c").exists()
    second = listeners.open([b, c], None)
    assert second[0] is first[1]
    assert (tmp_path / "a").exists()
    listeners.keep_only(second)
    assert not (tmp_path / "a").exists()
    listeners.close()
    assert not any(path.is_socket() for path in tmp_path.iterdir())


def test_a_changed_mode_is_applied(tmp_path: Path) -> None:
    listeners = Listeners()
    listeners.open([unix(tmp_path / "s", 0o600)], None)
    listeners.open([unix(tmp_path / "s", 0o666)], None)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o666
    listeners.close()
