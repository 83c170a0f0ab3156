"""A real server of the S3 protocol on the loopback, which lets in one key and checks its signatures."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import requests

from tests.tracking.servers import free_port

REGION = "us-east-1"
_ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
_UNSIGNED = 3  # requests that make the one who has the key: all after them must be signed


@dataclass(frozen=True)
class S3:
    """Where the server is, the key that it lets in, and its process."""

    endpoint: str
    key: str
    secret: str
    log: Path
    process: "subprocess.Popen[bytes]"

    def environment(self) -> dict[str, str]:
        """Return what tells boto3, and all that is made of it, where the server is and how one is let in."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> Any:
        """Return boto3's client of the server."""
        return _client("s3", self.endpoint, self.key, self.secret)

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        self.client().create_bucket(Bucket=name)

    def objects(self, bucket: str) -> dict[str, int]:
        """Return what is in a bucket: bytes by key."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", [])}

    def asked(self, method: str) -> list[str]:
        """Return the paths of all requests so far that had this method, in their order, from the server's log."""
        mark = f'"{method} '
        lines = self.log.read_text(errors="replace").splitlines()
        return [line.partition(mark)[2].split()[0] for line in lines if mark in line]

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Hold the server: who connects is let in by the system, and never answered."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)


@contextmanager
def s3(folder: Path) -> Iterator[S3]:
    """Run moto's S3 server, its log and what memory does not hold in `folder`; it forgets all when it is killed."""
    endpoint, log = f"http://127.0.0.1:{(port := free_port())}", folder / "s3.log"
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(_UNSIGNED), "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("ab") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
    try:
        until = time.monotonic() + 90
        while not _answers(endpoint):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield S3(endpoint, *_let_in(endpoint), log, process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(endpoint: str) -> bool:
    try:
        return requests.get(f"{endpoint}/moto-api/", timeout=1).ok
    except requests.RequestException:
        return False


def _let_in(endpoint: str) -> tuple[str, str]:
    """Make the one user, who may do anything; return its key and secret."""
    people = _client("iam", endpoint, "anyone", "anything")
    people.create_user(UserName="entente")
    people.put_user_policy(UserName="entente", PolicyName="anything", PolicyDocument=json.dumps(_ANYTHING))
    made = people.create_access_key(UserName="entente")["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def _client(service: str, endpoint: str, key: str, secret: str) -> Any:
    return boto3.client(
        service, endpoint_url=endpoint, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret
    )
