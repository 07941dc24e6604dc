"""What opendkim.conf(5) and opendmarc.conf(5) have in common."""

from __future__ import annotations

from dataclasses import replace

from gatepost.config.addresses import SocketAddress
from gatepost.config.names import parse_authserv_id
from gatepost.config.words import quoted
from gatepost.importing.conversion import Conversion, Unfit, number, seconds
from gatepost.importing.draft import Plain, Section, Sort
from gatepost.importing.hosts import to_patterns
from gatepost.importing.source import Setting


class MilterConversion(Conversion):
    """An instance of OpenDKIM or OpenDMARC. ``sections`` are the daemons that it becomes, by kind."""

    sections: dict[str, Section]

    def whole_path(self, path: str) -> str:
        """*path* from the root, relative ones from BaseDirectory. Raises Unfit."""
        base = self.source.value("BaseDirectory")
        if base is not None and base.value.startswith("/") and not path.strip().startswith("/"):
            path = f"{base.value.rstrip('/')}/{path.strip().removeprefix('./')}"
        return super().whole_path(path)

    def socket(self, setting: Setting) -> None:
        """Carry Socket over, with the access that UMask and UserID give."""
        address = self._address(setting)
        for section, each in zip(self.sections.values(), self._addresses(setting, address), strict=True):
            self.put(section, "socket", self._written(each), setting)

    def _address(self, setting: Setting) -> SocketAddress:
        family, _, rest = setting.value.partition(":")
        text = setting.value
        if family.lower() in ("local", "unix") and not rest.startswith("/"):
            text = f"unix:{self.whole_path(rest)}"
        try:
            address = SocketAddress.parse(text)
        except ValueError as error:
            raise Unfit(str(error)) from None
        if address.family != "unix" and "@" not in rest:
            said = f"listened on all addresses; gatepost on {address.host} alone, unless the address is given"
            self.remark(Sort.DIFFERENT, setting, said)
        return address

    def _addresses(self, setting: Setting, address: SocketAddress) -> list[SocketAddress]:
        """An address for each section: the first has the one that is known."""
        if len(self.sections) == 1:
            return [address]
        second = beside(address)
        first, last = self.sections
        text = (
            f"{first} has this socket, {last} one of its own: in Postfix, write"
            f' "smtpd_milters = {address}, {second}", the same for non_smtpd_milters'
        )
        self.remark(Sort.TO_DO, setting, text)
        return [address, second]

    def _written(self, address: SocketAddress) -> Plain:
        text = address.libmilter
        umask = self.source.value("UMask")
        if address.family != "unix" or umask is None:
            return text
        mode = 0o666 & ~_octal(umask)
        written: dict[str, Plain] = {"address": text, "mode": f"{mode:04o}"}
        user = self.source.value("UserID")
        if user is not None:
            name, _, group = user.value.partition(":")
            written["group"] = group or name
        return written

    def umask(self, setting: Setting) -> None:
        """UMask shows in the socket, if that is a file."""
        _octal(setting)
        socket = self.source.value("Socket")
        unix = socket is not None and not socket.value.lower().startswith("inet")
        if unix:
            self.remark(Sort.CARRIED, setting, "is mode of socket")
        else:
            self.remark(Sort.LEFT_OUT, setting, "the socket is no file")

    def authserv_id(self, setting: Setting) -> None:
        """Carry AuthservID over; a second one becomes another name of ours."""
        if setting.value == "HOSTNAME":
            self.remark(Sort.SAME, setting, "this host's name, if no authserv_id is given")
            return
        name = domain(setting.value)
        before = self.draft.common.get("authserv_id")
        if before is not None and before.value != name:
            text = (
                f"all daemons have one name, that of {before.origin}: fields under this one are removed too"
            )
            self.put_common("authserv_aliases", [name], setting)
            self.remark(Sort.DIFFERENT, setting, text)
            return
        self.put_common("authserv_id", name, setting)

    def also_ours(self, names: list[str], setting: Setting) -> None:
        """Carry names over that are ours beside authserv_id."""
        own = self.source.value("AuthservID")
        given = {own.value.lower()} if own is not None else set()
        others = [domain(name) for name in names if name != "HOSTNAME" and name.lower() not in given]
        if not others:
            self.remark(Sort.SAME, setting, "authserv_id is ours without saying")
            return
        self.put_common("authserv_aliases", list(others), setting)

    def dns_timeout(self, setting: Setting) -> None:
        """Carry DNSTimeout over."""
        if number(setting) == 0:
            self.remark(Sort.UNSUPPORTED, setting, "a time without end: dns.timeout is 5s")
            return
        self.put_common("dns.timeout", seconds(setting), setting)

    def base_directory(self, setting: Setting) -> None:
        """BaseDirectory is in every path that is carried over."""
        self.remark(Sort.CARRIED, setting, "is part of the paths")

    def included(self, setting: Setting) -> None:
        """What Include names has been read in its place."""
        self.remark(Sort.CARRIED, setting, "its lines are taken over as those of this file")

    def ignore_hosts(self, setting: Setting) -> None:
        """Carry a list of hosts over that are left alone."""
        patterns, others = to_patterns(self.entries(setting))
        for entry, reason in others:
            self.draft.remark(Sort.FLAW, entry.place, setting.name, reason)
        for section in self.sections.values():
            self.put(section, "ignore_hosts", list(patterns), setting)


def beside(address: SocketAddress) -> SocketAddress:
    """A second address for the other half of an instance that does two jobs."""
    if address.family != "unix":
        return replace(address, port=address.port + 1 if address.port < 65535 else address.port - 1)
    stem, dot, suffix = address.path.rpartition(".")
    if not dot or "/" in suffix:
        return replace(address, path=f"{address.path}-sign")
    return replace(address, path=f"{stem}-sign.{suffix}")


def domain(text: str) -> str:
    """A host name as authserv-id. Raises Unfit."""
    try:
        return parse_authserv_id(text)
    except ValueError as error:
        raise Unfit(str(error)) from None


def _octal(setting: Setting) -> int:
    try:
        mask = int(setting.value, 8)
    except ValueError:
        mask = -1
    if not 0 <= mask <= 0o777:
        raise Unfit(f"{quoted(setting.value)} is no umask")
    return mask
