"""Holds belljar's Sigma matcher against pySigma with its SQLite backend.

usage: sigma_peer.py DUMP RULES-FOLDER

DUMP has events under belljar's field names, and which rules held for which of
them. Here the events become log records of their own, one row each; every rule
becomes a query; and the events of its rows must be those that belljar found.
Run by replay's test `foreign`, which makes the dump.
"""

import json
import pathlib
import re
import sqlite3
import sys

from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

EXECS = ("execve", "execveat")
CREATES = ("mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat")
MOVES = ("rename", "renameat", "renameat2")
LINKS = ("link", "linkat", "symlink", "symlinkat")
REMOVES = ("unlink", "unlinkat", "rmdir")


def hexadecimal(number):
    return None if number is None else format(number & 0xFFFFFFFFFFFFFFFF, "x")


def process(event):
    if event.get("evt.type") in EXECS and event.get("evt.failed") is False:
        yield {
            "Image": event.get("proc.exepath"),
            "CommandLine": event.get("proc.exeline"),
            "ParentImage": event.get("proc.pexepath"),
            "ParentCommandLine": event.get("proc.pexeline"),
            "CurrentDirectory": event.get("proc.cwd"),
            "User": event.get("user.name"),
            "LogonId": "-1",
        }


def file(event):
    path = event.get("fs.path.written")
    opened = "evt.is_open_read" in event
    if event.get("evt.failed") is False and path is not None:
        if not opened or event.get("evt.is_open_create"):
            yield {"TargetFilename": path, "Image": event.get("proc.exepath")}


def network(event):
    if event.get("evt.type") == "connect" and event.get("fd.typechar") in ("4", "6"):
        port = event.get("fd.sport")
        yield {
            "Image": event.get("proc.exepath"),
            "DestinationHostname": event.get("net.name"),
            "DestinationIp": event.get("fd.rip"),
            "DestinationPort": None if port is None else str(port),
            "Initiated": "true",
        }


def auditd(event):
    call = event.get("evt.type")
    if call in EXECS and event.get("evt.failed") is False:
        row = {"type": "EXECVE", "fulltext": event.get("proc.exeline")}
        row.update({f"a{at}": event.get(f"argv{at}") for at in range(10)})
        yield row
    if "evt.failed" not in event:
        return
    row = {
        "type": "SYSCALL",
        "SYSCALL": call,
        "exe": event.get("proc.exepath"),
        "comm": event.get("proc.comm"),
        "euid": str(event["user.uid"]) if "user.uid" in event else None,
    }
    row.update({f"a{at}": hexadecimal(event.get(f"arg{at}")) for at in range(4)})
    yield row
    if "fs.path.name" in event:
        made = event.get("evt.is_open_create") or call in CREATES
        gone = call in REMOVES or call in MOVES
        kind = "CREATE" if made else "DELETE" if gone else "NORMAL"
        yield {"type": "PATH", "name": event["fs.path.name"], "nametype": kind}
    if "fs.path.target" in event:
        made = call in MOVES or call in LINKS
        kind = "CREATE" if made else "NORMAL"
        yield {"type": "PATH", "name": event["fs.path.target"], "nametype": kind}


SOURCES = {
    "process_creation": process,
    "file_event": file,
    "network_connection": network,
    "auditd": auditd,
}


def table(database, name, events):
    rows = [dict(row, seq=event["seq"]) for event in events for row in SOURCES[name](event)]
    columns = sorted({column for row in rows for column in row} | {"fulltext", "seq"})
    extra = {"key", "unit", "nametype", "a4", "a5", "a6", "a7", "LogonId"} - set(columns)
    columns += sorted(extra)
    kinds = [f'"{c}" ' + ("INTEGER" if c == "seq" else "TEXT COLLATE NOCASE") for c in columns]
    database.execute(f"CREATE TABLE {name} ({', '.join(kinds)})")
    holes = ", ".join("?" * len(columns))
    database.executemany(
        f"INSERT INTO {name} VALUES ({holes})",
        [[row.get(column) for column in columns] for row in rows],
    )
    return len(rows)


def main():
    dump = json.loads(pathlib.Path(sys.argv[1]).read_text())
    database = sqlite3.connect(":memory:")
    search = lambda pattern, text: text is not None and re.search(pattern, text) is not None
    database.create_function("REGEXP", 2, search, deterministic=True)
    records = sum(table(database, name, dump["events"]) for name in SOURCES)
    evaluable, found = set(dump["evaluable"]), dump["matches"]
    compared, skipped, hits, wrong, held = 0, [], 0, [], 0
    for path in sorted(pathlib.Path(sys.argv[2]).rglob("*.yml")):
        collection = SigmaCollection.from_yaml(path.read_text())
        for rule in collection.rules:
            name = f"sigma:{rule.id}"
            if name not in evaluable:
                continue
            source = rule.logsource.category or rule.logsource.service
            try:
                queries = sqliteBackend(fulltext_field="fulltext").convert(collection)
            except Exception as error:
                skipped.append(f"{path.name}: {error}")
                continue
            theirs = set()
            try:
                for query in queries:
                    query = query.replace("SELECT * FROM logs", f"SELECT seq FROM {source}", 1)
                    theirs |= {row[0] for row in database.execute(query)}
            except sqlite3.Error as error:
                skipped.append(f"{path.name}: {error}")
                continue
            ours = set(found.get(name, []))
            compared += 1
            hits += len(theirs)
            held += bool(theirs)
            if ours != theirs:
                more, less = sorted(ours - theirs)[:5], sorted(theirs - ours)[:5]
                wrong.append(f"{path.name}: only ours {more}, only theirs {less}\n  {queries}")
    for line in skipped:
        print("not compared:", line)
    for line in wrong:
        print("DIFFERS:", line)
    print(
        f"{compared} rules over {len(dump['events'])} events ({records} records): "
        f"{hits} hits of {held} rules, {len(wrong)} differ, {len(skipped)} not compared"
    )
    return 1 if wrong or compared < 150 or held < 150 else 0


sys.exit(main())
