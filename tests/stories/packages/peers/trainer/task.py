"""A trainer of several replicas: each says what it was told, and the first one hears from all the others."""

import json
import os
import socket
import sys
import time

TORCH = ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK")


def main():
    config = json.loads(os.environ["TF_CONFIG"])
    task, cluster = config["task"], config["cluster"]
    told = {
        "task": task,
        "cluster": cluster,
        "spec": json.loads(os.environ["CLUSTER_SPEC"]),
        "torch": {name: os.environ[name] for name in TORCH if name in os.environ},
    }
    print("told " + json.dumps(told), flush=True)
    role = task["type"]
    if role in ("chief", "master"):
        lead(cluster, role)
    elif role == "ps":
        time.sleep(3600)  # as a parameter server does: it never ends by itself
    else:
        if "--break" in sys.argv and role == "worker" and task["index"] == 0:
            raise RuntimeError("this worker breaks")
        report(cluster, f"{role} {task['index']}")
        time.sleep(3600)


def lead(cluster, role):
    """Wait until every worker and evaluator has called."""
    host, port = cluster[role][0].split(":")
    expected = int(sys.argv[sys.argv.index("--callers") + 1])
    with socket.create_server((host, int(port))) as listener:
        listener.settimeout(120)
        heard = []
        while len(heard) < expected:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.makefile().readline().strip())
    print("heard " + json.dumps(sorted(heard)), flush=True)
    if "--linger" in sys.argv:
        time.sleep(3600)


def report(cluster, name):
    """Tell the first replica that we are here, once it listens."""
    host, port = cluster.get("chief", cluster.get("master"))[0].split(":")
    for _ in range(1200):
        try:
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.sendall(f"{name}\n".encode())
            print("called", flush=True)
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("nobody answers")


if __name__ == "__main__":
    main()
