"""The numbers of the milter protocol, under the names libmilter's ``mfdef.h`` and ``mfapi.h`` give them.

Commands and replies are single octets, given here as integers, as indexing
``bytes`` yields them.
"""

from __future__ import annotations

SMFI_PROT_VERSION = 6
"""The protocol version spoken here; peers from version 2 on are served."""
SMFI_OLDEST_VERSION = 2
MILTER_MAX_DATA_SIZE = 65535
"""The most an MTA takes in one reply, in octets."""

# Commands: from the MTA to the milter.
SMFIC_ABORT = ord("A")
SMFIC_BODY = ord("B")
SMFIC_CONNECT = ord("C")
SMFIC_MACRO = ord("D")
SMFIC_BODYEOB = ord("E")
SMFIC_HELO = ord("H")
SMFIC_QUIT_NC = ord("K")
SMFIC_HEADER = ord("L")
SMFIC_MAIL = ord("M")
SMFIC_EOH = ord("N")
SMFIC_OPTNEG = ord("O")
SMFIC_QUIT = ord("Q")
SMFIC_RCPT = ord("R")
SMFIC_DATA = ord("T")
SMFIC_UNKNOWN = ord("U")

# Replies and actions: from the milter to the MTA.
SMFIR_ACCEPT = ord("a")
SMFIR_CONTINUE = ord("c")
SMFIR_DISCARD = ord("d")
SMFIR_ADDHEADER = ord("h")
SMFIR_INSHEADER = ord("i")
SMFIR_CHGHEADER = ord("m")
SMFIR_PROGRESS = ord("p")
SMFIR_QUARANTINE = ord("q")
SMFIR_REJECT = ord("r")
SMFIR_SKIP = ord("s")
SMFIR_TEMPFAIL = ord("t")
SMFIR_REPLYCODE = ord("y")

# Address families in SMFIC_CONNECT.
SMFIA_UNKNOWN = ord("U")
SMFIA_UNIX = ord("L")
SMFIA_INET = ord("4")
SMFIA_INET6 = ord("6")

# What the milter may do to a message.
SMFIF_ADDHDRS = 0x001
SMFIF_CHGHDRS = 0x010
SMFIF_QUARANTINE = 0x020
SMFIF_SETSYMLIST = 0x100

# What the MTA leaves out, and which steps it awaits no reply to (NR).
SMFIP_NOCONNECT = 0x000001
SMFIP_NOHELO = 0x000002
SMFIP_NOMAIL = 0x000004
SMFIP_NORCPT = 0x000008
SMFIP_NOBODY = 0x000010
SMFIP_NOHDRS = 0x000020
SMFIP_NOEOH = 0x000040
SMFIP_NR_HDR = 0x000080
SMFIP_NOUNKNOWN = 0x000100
SMFIP_NODATA = 0x000200
SMFIP_SKIP = 0x000400
SMFIP_RCPT_REJ = 0x000800
SMFIP_NR_CONN = 0x001000
SMFIP_NR_HELO = 0x002000
SMFIP_NR_MAIL = 0x004000
SMFIP_NR_RCPT = 0x008000
SMFIP_NR_DATA = 0x010000
SMFIP_NR_UNKN = 0x020000
SMFIP_NR_EOH = 0x040000
SMFIP_NR_BODY = 0x080000
SMFIP_HDR_LEADSPC = 0x100000

# Stages for which a list of macros can be asked (SMFIF_SETSYMLIST).
SMFIM_CONNECT = 0
SMFIM_HELO = 1
SMFIM_ENVFROM = 2
SMFIM_ENVRCPT = 3
SMFIM_DATA = 4
SMFIM_EOM = 5
SMFIM_EOH = 6

STAGES = {
    "connect": SMFIM_CONNECT,
    "helo": SMFIM_HELO,
    "mail": SMFIM_ENVFROM,
    "rcpt": SMFIM_ENVRCPT,
    "data": SMFIM_DATA,
    "eoh": SMFIM_EOH,
    "eom": SMFIM_EOM,
}
"""The stages by the names that ``milters.handler.Needs.macros`` uses."""
