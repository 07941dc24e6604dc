"""The types of options: what text they take, what value they give.

The classes and aliases here stand in ``settings``. Each takes the text of the
file, and the finished value too, so that settings can be made in code as well.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, PlainValidator
from pydantic_core import CoreSchema, core_schema

from gatepost.config import addresses
from gatepost.config.addresses import HostAndPort
from gatepost.config.names import (
    parse_authserv_id,
    parse_domain,
    parse_field_name,
    parse_host_pattern,
    parse_path,
)
from gatepost.config.units import parse_duration, parse_mode, parse_positive_duration, parse_size
from gatepost.config.words import quoted

__all__ = [
    "AuthservId",
    "Canonicalization",
    "Domain",
    "Duration",
    "DurationOrZero",
    "FieldName",
    "FilePath",
    "HostAndPort",
    "HostPattern",
    "MetricsAddress",
    "Nameserver",
    "Network",
    "Size",
    "SocketAddress",
    "Sockets",
]

Duration = Annotated[float, PlainValidator(parse_positive_duration)]
"""Seconds, more than 0. Written ``500ms``, ``5s``, ``10m``, ``2h``, ``1h30m``, ``1d``, ``1w``; a bare number
is seconds."""

DurationOrZero = Annotated[float, PlainValidator(parse_duration)]
"""Seconds, as Duration, but 0 is allowed."""

Size = Annotated[int, PlainValidator(parse_size)]
"""Bytes, more than 0. Written ``65536``, ``64k``, ``10MB``, ``1MiB``; a k is 1024, however it is spelled."""

Domain = Annotated[str, PlainValidator(parse_domain)]
"""A domain as A-labels, in lower case. U-labels are accepted."""

AuthservId = Annotated[str, PlainValidator(parse_authserv_id)]
"""The name of a verifier in Authentication-Results (RFC 8601 §2.5), in lower case."""

FieldName = Annotated[str, PlainValidator(parse_field_name)]
"""The name of a header field (RFC 5322 §2.2), in lower case."""

HostPattern = Annotated[str, PlainValidator(parse_host_pattern)]
"""An address, a network, a host name or ``.domain``, with ``!`` in front to except it."""

FilePath = Annotated[Path, PlainValidator(parse_path)]
"""The whole path of a file."""

Network = Annotated[IPv4Network | IPv6Network, PlainValidator(addresses.parse_network)]
"""Addresses, as a network; a bare address is the network of that one."""


def _parse_nameserver(value: object) -> HostAndPort:
    if isinstance(value, HostAndPort):
        return value
    if not isinstance(value, str):
        raise ValueError("expected ADDRESS or ADDRESS:PORT such as 127.0.0.1 or [::1]:53")
    nameserver = HostAndPort.parse(value, default_port=53)
    if not addresses.is_address(nameserver.host):
        # A name would need a nameserver to be looked up.
        raise ValueError(f"expected the address of a nameserver such as 127.0.0.1, not {quoted(value)}")
    return nameserver


def _parse_metrics_address(value: object) -> HostAndPort:
    if isinstance(value, HostAndPort):
        return value
    if not isinstance(value, str):
        raise ValueError("expected ADDRESS:PORT such as 127.0.0.1:9891")
    return HostAndPort.parse(value)


Nameserver = Annotated[HostAndPort, PlainValidator(_parse_nameserver)]
"""ADDRESS or ADDRESS:PORT; the port is 53 unless one is given."""

MetricsAddress = Annotated[HostAndPort, PlainValidator(_parse_metrics_address)]
"""ADDRESS:PORT."""


class Canonicalization(NamedTuple):
    """The two algorithms of c= (RFC 6376 §3.4), written ``relaxed/simple``."""

    header: Literal["simple", "relaxed"]
    body: Literal["simple", "relaxed"]

    @classmethod
    def parse(cls, value: object) -> Canonicalization:
        """Read ``HEADER/BODY``; without the second part, the body is ``simple`` (RFC 6376 §3.5).

        Raises ValueError.
        """
        if isinstance(value, Canonicalization):
            return value
        shown = f", not {quoted(value)}" if isinstance(value, str) else ""
        header, separator, body = (
            value.strip().lower().partition("/") if isinstance(value, str) else ("", "", "")
        )
        algorithms = ("simple", "relaxed")
        if header not in algorithms or (separator and body not in algorithms):
            raise ValueError(f"expected simple or relaxed for header and body such as relaxed/relaxed{shown}")
        return cls(cast(Any, header), cast(Any, body) if separator else "simple")

    def __str__(self) -> str:
        return f"{self.header}/{self.body}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse)


def _parse_socket_text(value: object) -> addresses.SocketAddress:
    if not isinstance(value, str):
        raise ValueError("expected a socket such as inet:8891@127.0.0.1 or unix:/run/gatepost/verify")
    return addresses.SocketAddress.parse(value)


class _SocketMapping(BaseModel):
    """The long form of a socket; a class of its own so that errors name the key inside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Annotated[addresses.SocketAddress, PlainValidator(_parse_socket_text)] = Field(
        examples=["unix:/run/gatepost/verify"]
    )
    mode: Annotated[int, PlainValidator(parse_mode)] | None = None
    group: str | None = None


class Forms:
    """In an annotation: this value may also be written as the mapping that *mapping* describes."""

    def __init__(self, mapping: type[BaseModel]) -> None:
        self.mapping = mapping

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            _build_socket, handler.generate_schema(self.mapping)
        )


def _build_socket(
    value: object, validate: core_schema.ValidatorFunctionWrapHandler
) -> addresses.SocketAddress:
    if isinstance(value, addresses.SocketAddress):
        return value
    if not isinstance(value, dict):
        return _parse_socket_text(value)
    long: _SocketMapping = validate(value)
    if long.address.family != "unix" and (long.mode is not None or long.group is not None):
        raise ValueError("mode and group are for unix sockets; with inet, a firewall says who may connect")
    return replace(long.address, mode=long.mode, group=long.group)


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str | dict | addresses.SocketAddress) else value


SocketAddress = addresses.SocketAddress
Sockets = Annotated[
    list[Annotated[addresses.SocketAddress, Forms(_SocketMapping)]], BeforeValidator(_one_or_more)
]
"""One socket or a list of them; each as text, or as a mapping of ``address``, ``mode`` and ``group``."""
