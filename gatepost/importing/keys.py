"""What OpenDKIM's configuration says of signing: with which keys, for whom, and over which header fields."""

from __future__ import annotations

from gatepost.config.words import quoted
from gatepost.dkim.keys.dataset import Kind, parse_dataset, parse_lines
from gatepost.dkim.sign import DEFAULT_HEADERS
from gatepost.importing.conversion import Conversion, Unfit, origin, yes_or_no
from gatepost.importing.draft import Option, Plain, Section, Sort
from gatepost.importing.hosts import Entry
from gatepost.importing.source import Setting

SIGN = "dkim-sign"
_ONLY_SIGNING = "concerns signing, which this instance does not do"


class Keys(Conversion):
    """The part of an OpenDKIM that signs. ``sections`` are its daemons by kind."""

    sections: dict[str, Section]

    def _signer(self, setting: Setting) -> Section | None:
        """The section of the signer; None, and a remark, where there is none."""
        section = self.sections.get(SIGN)
        if section is None:
            self.remark(Sort.LEFT_OUT, setting, _ONLY_SIGNING)
        return section

    # -- tables

    def key_table(self, setting: Setting) -> None:
        """Carry KeyTable over."""
        self._table(setting, "key_table")

    def signing_table(self, setting: Setting) -> None:
        """Carry SigningTable over."""
        signer = self._table(setting, "signing_table")
        multiple = self.source.value("MultipleSignatures")
        if signer is None or (multiple is not None and yes_or_no(multiple)):
            return
        path = parse_dataset(setting.value).path
        if path is not None and len(list(parse_lines(self.file(self.whole_path(str(path)))))) > 1:
            text = "every line that fits the sender signs, where OpenDKIM without MultipleSignatures took the first"
            self.remark(Sort.DIFFERENT, setting, text)

    def _table(self, setting: Setting, key: str) -> Section | None:
        signer = self._signer(setting)
        if signer is None:
            return None
        try:
            dataset = parse_dataset(setting.value)
        except ValueError as error:
            raise Unfit(str(error)) from None
        where = setting.value
        if dataset.path is not None:
            path = self.whole_path(str(dataset.path))
            where = f"refile:{path}" if dataset.kind is Kind.REFILE else path
        self.put(signer, key, where, setting)
        return signer

    def key_list(self, setting: Setting) -> None:
        """Carry KeyList over, the table of dkim-filter."""
        signer = self._signer(setting)
        if signer is not None:
            self.put(signer, "key_list", self.whole_path(setting.value), setting)

    # -- one key

    def key_file(self, setting: Setting) -> None:
        """Carry KeyFile over, with Domain, Selector and SubDomains. Raises Unfit where one is missing."""
        signer = self._signer(setting)
        if signer is None or self._tables_count(setting):
            return
        domains, selector = self.source.value("Domain"), self.source.value("Selector")
        if domains is None or selector is None:
            raise Unfit("goes with Domain and Selector, one of which is missing")
        subdomains = self.source.value("SubDomains")
        below: dict[str, Plain] = (
            {"subdomains": True} if subdomains is not None and yes_or_no(subdomains) else {}
        )
        path = self.whole_path(setting.value)
        keys: list[Plain] = [
            {"domain": entry.text, "selector": selector.value, "file": path, **below}
            for entry in self.entries(domains)
        ]
        self.put(signer, "keys", keys, setting)

    def domain(self, setting: Setting) -> None:
        """Domain, Selector and SubDomains are part of what becomes of KeyFile."""
        if self._signer(setting) is None or self._tables_count(setting):
            return
        if self.source.value("KeyFile") is None:
            self.remark(Sort.LEFT_OUT, setting, "goes with KeyFile, which is not given")
        else:
            self.remark(Sort.CARRIED, setting, "is part of keys")

    def _tables_count(self, setting: Setting) -> bool:
        for name in ("KeyTable", "KeyList"):
            if self.source.value(name) is not None:
                self.remark(Sort.SAME, setting, f"{name} is given, which counts")
                return True
        return False

    # -- for whom

    def mta(self, setting: Setting) -> None:
        """Carry MTA over."""
        self._sign_for([f"daemon_name={entry.text}" for entry in self.entries(setting)], setting)

    def macros(self, setting: Setting) -> None:
        """Carry MacroList over: names, and the values that they may have."""
        wanted: list[str] = []
        for entry, values in self._macro_rows(setting):
            name = entry.text.strip("{}")
            wanted += [f"{name}={value.strip()}" for value in values.split("|")] if values else [name]
        self._sign_for(wanted, setting)

    def _macro_rows(self, setting: Setting) -> list[tuple[Entry, str]]:
        prefix, colon, path = setting.value.partition(":")
        if setting.value.startswith("/"):
            path = setting.value
        elif not colon or prefix.lower() not in ("file", "refile"):
            pairs = [(entry, *entry.text.partition("=")) for entry in self.entries(setting)]
            return [(Entry(name.strip(), entry.place), values) for entry, name, _, values in pairs]
        text = self.file(self.whole_path(path))
        return [(Entry(row.key, setting.place), row.value) for row in parse_lines(text)]

    def _sign_for(self, wanted: list[str], setting: Setting) -> None:
        signer = self._signer(setting)
        if signer is None:
            return
        before = signer.get("sign_for")
        together: list[Plain] = [*wanted]
        if before is not None and isinstance(before.value, list):
            together = [*before.value, *wanted]
        self.put(signer, "sign_for", together, setting)
        if before is not None:
            signer["sign_for"] = Option(together, f"{before.origin}, {origin(setting)}")

    def dont_sign_to(self, setting: Setting) -> None:
        """Carry DontSignMailTo over."""
        signer = self._signer(setting)
        if signer is None:
            return
        entries = [entry.text for entry in self.entries(setting)]
        patterns = [text for text in entries if "*" in text or text.startswith(".")]
        for text in patterns:
            said = f"{quoted(text)} is not supported: name the recipients or their domains one by one"
            self.remark(Sort.UNSUPPORTED, setting, said)
        self.put(signer, "never_sign_to", [text for text in entries if text not in patterns], setting)
        text = "mail is left unsigned if all its recipients are listed, where for OpenDKIM one is enough"
        self.remark(Sort.DIFFERENT, setting, text)

    # -- header fields

    def sender_headers(self, setting: Setting) -> None:
        """Carry SenderHeaders over."""
        signer = self._signer(setting)
        if signer is not None:
            self.put(signer, "sender_headers", list(self._names(setting, ["from"])), setting)

    def oversign(self, setting: Setting) -> None:
        """Carry OversignHeaders over."""
        signer = self._signer(setting)
        if signer is not None:
            self.put(signer, "oversign", list(self._names(setting, [])), setting)

    def sign_headers(self, setting: Setting) -> None:
        """Carry SignHeaders over, less what OmitHeaders names."""
        self._headers(setting)

    def omit_headers(self, setting: Setting) -> None:
        """Carry OmitHeaders over, where SignHeaders does not do it."""
        if self.source.value("SignHeaders") is not None and SIGN in self.sections:
            self.remark(Sort.CARRIED, setting, "is part of headers")
        else:
            self._headers(setting)

    def _headers(self, setting: Setting) -> None:
        signer = self._signer(setting)
        if signer is None:
            return
        signed = [name.lower() for name in DEFAULT_HEADERS]
        sign, omit = self.source.value("SignHeaders"), self.source.value("OmitHeaders")
        wanted = signed if sign is None else self._names(sign, signed)
        left_out = frozenset(self._names(omit, [])) if omit is not None else frozenset()
        rest = [name for name in wanted if name not in left_out or name == "from"]
        if rest == signed:
            self.remark(Sort.SAME, setting, "headers is so by default")
        else:
            self.put(signer, "headers", list(rest), setting)

    def _names(self, setting: Setting, default: list[str]) -> list[str]:
        """Header fields in lower case; with ``*`` in the list it changes *default* by ``+name`` and ``-name``."""
        words = [entry.text.lower() for entry in self.entries(setting)]
        names = list(default) if "*" in words else []
        for word in words:
            name = word.lstrip("+-")
            if word.startswith("-"):
                names = [each for each in names if each != name]
            elif name not in names and name not in ("*", "."):
                names.append(name)
        return names
