"""`gateway doctor`: what this machine can do, what that means, and the command that mends what it cannot."""

import argparse
import dataclasses

from gateway.cli.output import print_json, print_table, tell_left_overs
from gateway.config import load
from gateway.errors import EXIT_CAPABILITY, EXIT_DONE, UsageError
from gateway.ops.drill_examination import examine_drill
from gateway.ops.examination import examine
from gateway.ops.finding import FAIL, OK, WARN, Finding
from gateway.ops.host import Host

HELP = "examine this machine: build, processors, memory, privilege, clock, port"
KINDS = ("pair", "pcap", "binaryfile", "tap", "af_packet", "dpdk")
OVERDUE = "this machine can run it, and the kill switch has not been rehearsed: gateway kill --drill CONFIG"
COLOURS = {OK: "green", WARN: "yellow", FAIL: "bold red"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the words of the verb."""
    parser.add_argument(
        "--port", default="pair:gateway", metavar="KIND:ARGUMENT", help="the port to examine for (default: %(default)s)"
    )
    parser.add_argument("--config", metavar="FILE", help="an appliance's configuration: its kill drills are looked at too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Prints the findings; exit code 4 when something fails that the chosen port needs."""
    if arguments.port.partition(":")[0] not in KINDS or ":" not in arguments.port:
        raise UsageError(f"port {arguments.port}: write KIND:ARGUMENT with one of: {' '.join(KINDS)}")
    tell_left_overs()
    findings = examine(Host(), arguments.port)
    if arguments.config:
        findings.append(examine_drill(load(arguments.config)))
    failed = [finding for finding in findings if finding.status == FAIL]
    if arguments.json:
        rows = [dataclasses.asdict(finding) for finding in findings]
        print_json({"port": arguments.port, "ok": not failed, "findings": rows}, indent=2)
    else:
        show(findings)
        print(verdict(arguments.port, findings))
    return EXIT_CAPABILITY if failed else EXIT_DONE


def show(findings: list[Finding]) -> None:
    """The findings as a table; meaning and mend stand below what is not as it should be."""
    from rich.text import Text

    rows: list[tuple[str | Text, ...]] = []
    for finding in findings:
        rows.append((Text(finding.status, style=COLOURS[finding.status]), finding.name, finding.found))
        if finding.status != OK:
            rows.append(("", "", Text(finding.meaning, style="dim")))
            rows.append(("", "", Text(f"mend: {finding.mend}", style="dim")))
    print_table(("", "what", "found"), rows)


def verdict(port: str, findings: list[Finding]) -> str:
    """One line at the end."""
    failed = [finding.name for finding in findings if finding.status == FAIL]
    warned = sum(finding.status == WARN for finding in findings)
    if failed:
        return f"port {port} is not fit to run here: {', '.join(failed)}" if failed != ["kill drill"] else OVERDUE
    return f"port {port} can run here" + (f"; {warned} warnings" if warned else "")
