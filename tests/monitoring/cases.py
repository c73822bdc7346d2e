"""For each alert: series on which it fires, series on which it does not, and what it says. promtool does the rest.

A series is written as promtool takes it: values at intervals of 5 s from 0 on, `1x9 0x9` for ten of each.
"""

from __future__ import annotations

import dataclasses
from typing import Any

Series = dict[str, str]


@dataclasses.dataclass(frozen=True)
class Case:
    """One alert, at a moment."""

    alert: str
    fires: Series
    """It fires on these ..."""
    labels: dict[str, str]
    """... with these labels, beside its severity, ..."""
    summary: str
    """... and says this."""
    quiet: Series | None
    """It does not fire on these; None: there is no such thing."""
    at: str = "2m"
    step: str = "5s"
    """Time between two values, and between two evaluations: more for what takes hours, and less than the 5 min
    for which a value holds."""

    def tests(self, rule: dict[str, Any]) -> list[dict[str, Any]]:
        """Return both tests in promtool's words.

        :param rule: the alert as its file has it.
        """
        labels = self.labels | rule["labels"]
        annotations = {"summary": self.summary, "runbook": rule["annotations"]["runbook"]}
        expected = {"exp_labels": labels, "exp_annotations": annotations}
        return [
            {
                "name": f"{self.alert} {what}",
                "interval": self.step,
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [{"eval_time": self.at, "alertname": self.alert, "exp_alerts": alerts}],
            }
            for what, series, alerts in (("fires", self.fires, [expected]), ("is quiet", self.quiet, []))
            if series is not None
        ]


LB = {"tier": "loadbalancers"}
WEB = {"tier": "webservers"}
DB = {"tier": "databases"}
PROMETHEUS = ("mon1", "monitoring", "prometheus")


def up(job: str, tier: str, **hosts: str) -> Series:
    """Return whether a job's targets answer, by host."""
    return {f'up{{job="{job}",instance="{host}",tier="{tier}"}}': values for host, values in hosts.items()}


def probe(kind: str = "https", **values: str) -> Series:
    return {
        f'probe_success{{probe="{kind}",instance="{name}",address="192.0.2.{number}",tier="loadbalancers"}}': each
        for number, (name, each) in enumerate(values.items(), 11)
    }


def server(tier: str, of: str, proxy: str, state: str = "UP", **servers: str) -> Series:
    """Return how HAProxy on the host `of` sees the servers of a backend."""
    head = f'job="haproxy",tier="{tier}",instance="{of}",proxy="{proxy}"'
    return {f'haproxy_server_status{{{head},server="{name}",state="{state}"}}': each for name, each in servers.items()}


def responses(errors: str, good: str = "0+1000x2000") -> Series:
    head = 'haproxy_frontend_http_responses_total{job="haproxy",tier="loadbalancers",instance="lb1",proxy="https"'
    return {f'{head},code="2xx"}}': good, f'{head},code="5xx"}}': errors}


def answers(slow: str, all_of_them: str = "0+1000x2000") -> Series:
    head = 'job="app",tier="webservers",instance="web1",route="/notes"'
    return {
        f'app_request_seconds_bucket{{{head},le="1.0"}}': slow,
        f'app_request_seconds_bucket{{{head},le="+Inf"}}': all_of_them,
        f"app_request_seconds_count{{{head}}}": all_of_them,
    }


def host(name: str, labels: str = "", instance: str = "db1", tier: str = "databases", job: str = "node") -> str:
    more = f",{labels}" if labels else ""
    return f'{name}{{job="{job}",instance="{instance}",tier="{tier}"{more}}}'


def on(instance: str, tier: str, job: str = "node", /, **more: str) -> dict[str, str]:
    """Return the labels of an alert about a host."""
    return {"instance": instance, "tier": tier, "job": job} | more


DISK = 'device="/dev/vda1",fstype="ext4",mountpoint="/"'
DISK_LABELS = {"device": "/dev/vda1", "fstype": "ext4", "mountpoint": "/"}


def disk(avail: str, size: str = "100x2000", readonly: str = "0x2000", kind: str = "bytes") -> Series:
    names = ("avail_bytes", "size_bytes") if kind == "bytes" else ("files_free", "files")
    return {
        host(f"node_filesystem_{names[0]}", DISK): avail,
        host(f"node_filesystem_{names[1]}", DISK): size,
        host("node_filesystem_readonly", DISK): readonly,
    }


def databases(job: str = "mysqld", **read_only: str) -> Series:
    series: Series = {}
    for name, values in read_only.items():
        series |= {
            host("mysql_global_variables_read_only", instance=name, job=job): values,
            **up(job, "databases", **{name: "1x99"}),
        }
    return series


def replica(io: str = "1x99", sql: str = "1x99", lag: str = "0x99") -> Series:
    channel = 'channel_name="",master_host="192.0.2.31",master_uuid="a"'
    return {
        host("mysql_slave_status_replica_io_running", channel, "db2", job="mysqld"): io,
        host("mysql_slave_status_replica_sql_running", channel, "db2", job="mysqld"): sql,
        host("mysql_slave_status_seconds_behind_source", channel, "db2", job="mysqld"): lag,
    }


def mariadb_replica(io: str = "1x99", lag: str = "0x99") -> Series:
    channel = 'channel_name="",connection_name="",master_host="192.0.2.31",master_uuid=""'
    return {
        host("mysql_slave_status_slave_io_running", channel, "db2", job="mysqld"): io,
        host("mysql_slave_status_slave_sql_running", channel, "db2", job="mysqld"): "1x99",
        host("mysql_slave_status_seconds_behind_master", channel, "db2", job="mysqld"): lag,
    }


def vip(**states: str) -> Series:
    """Return the state of the address on each load balancer: `MASTER=values` by host, and BACKUP elsewhere."""
    return {
        host("keepalived_vip_state", f'address="192.0.2.100",state="{state}"', name, "loadbalancers"): "1x99"
        for name, state in states.items()
    }


def unit(name: str, state: str, values: str, instance: str, tier: str) -> Series:
    return {host("node_systemd_unit_state", f'name="{name}",state="{state}",type="simple"', instance, tier): values}


DAY = 86400
CERTIFICATE = 'probe_ssl_earliest_cert_expiry{probe="https",instance="lb1",tier="loadbalancers"}'

CASES = {
    "site": [
        Case(
            "SiteUnreachable",
            probe(vip="1x2 0x99", lb1="1x2 0x99"),
            {},
            "The site answers at none of its addresses (lb1, vip).",
            probe(vip="1x2 0x99", lb1="1x99"),
        ),
        Case(
            "AddressUnreachable",
            probe(vip="1x2 0x99", lb1="1x99"),
            {"probe": "https", "instance": "vip", "address": "192.0.2.11"} | LB,
            "The site does not answer at vip (192.0.2.11).",
            probe(vip="1x19 0x1 1x99", lb1="1x99"),
        ),
        Case(
            "RedirectBroken",
            probe(lb1="1x99") | probe("redirect", lb1="0x99"),
            {"probe": "redirect", "instance": "lb1", "address": "192.0.2.11"} | LB,
            "Plain HTTP at lb1 does not lead to HTTPS.",
            probe(lb1="0x99") | probe("redirect", lb1="0x99"),
        ),
        Case(
            "ErrorBudgetBurnsFast",
            responses("0+30x2000"),
            {"window": "1h"} | LB,
            "2.913% of an hour's requests were answered with errors of lb1; "
            "at this rate a month's budget lasts two days.",
            responses("0+1x2000"),
            at="70m",
        ),
        Case(
            "ErrorBudgetBurns",
            responses("0+8x500", "0+1000x500"),
            {"window": "6h"} | LB,
            "0.7937% of six hours' requests were answered with errors of lb1.",
            responses("0+1x500", "0+1000x500"),
            at="7h",
            step="1m",
        ),
        Case(
            "LatencyBudgetBurnsFast",
            answers("0+800x2000"),
            {"window": "1h"} | WEB,
            "20% of an hour's requests took longer than a second on web1.",
            answers("0+999x2000"),
            at="70m",
        ),
        Case(
            "LatencyBudgetBurns",
            answers("0+900x500", "0+1000x500"),
            {"window": "6h"} | WEB,
            "10% of six hours' requests took longer than a second on web1.",
            answers("0+999x500", "0+1000x500"),
            at="7h",
            step="1m",
        ),
        *(
            Case(
                alert,
                {CERTIFICATE: f"{days * DAY + 120}x99"},
                {"instance": "lb1"} | LB,
                f"The certificate that clients see at lb1 ends in {days}d 0h 0m 0s.",
                {CERTIFICATE: f"{more * DAY}x99"},
            )
            for alert, days, more in (("CertificateEndsSoon", 20, 22), ("CertificateEnds", 6, 8))
        ),
        Case(
            "CertificateRenewalFails",
            {host("tandem_certbot_failed", "", "lb1", "loadbalancers"): "1x99"},
            on("lb1", "loadbalancers"),
            "certbot could not obtain, renew or deploy a certificate on lb1.",
            {host("tandem_certbot_failed", "", "lb1", "loadbalancers"): "0x99"},
        ),
        Case(
            "CertificateNotDeployed",
            {host("tandem_certificate_deployed", 'name="www.example.com"', "lb1", "loadbalancers"): "0x999"},
            on("lb1", "loadbalancers", name="www.example.com"),
            "HAProxy on lb1 does not use the newest certificate for www.example.com.",
            {host("tandem_certificate_deployed", 'name="www.example.com"', "lb1", "loadbalancers"): "1x99 0x9 1x999"},
            at="12m",
        ),
    ],
    "loadbalancers": [
        Case(
            "LoadBalancersDegraded",
            up("haproxy", "loadbalancers", lb1="1x99", lb2="1x2 0x99", lb3="1x99"),
            {},
            "HAProxy does not answer on lb2.",
            up("haproxy", "loadbalancers", lb1="1x99", lb2="1x19 0x1 1x99", lb3="1x99"),
        ),
        Case(
            "LastLoadBalancer",
            up("haproxy", "loadbalancers", lb1="1x99", lb2="1x2 0x99"),
            {},
            "Only lb1 is left of the load balancers; one more and the site is off.",
            # One that was planned alone is no last one.
            up("haproxy", "loadbalancers", lb1="1x99"),
        ),
        Case(
            "LoadBalancersLost",
            up("haproxy", "loadbalancers", lb1="0x99", lb2="0x99"),
            {},
            "No load balancer's HAProxy answers (lb1, lb2).",
            up("haproxy", "loadbalancers", lb1="1x99", lb2="0x99"),
        ),
        Case(
            "VirtualAddressHeldByNone",
            vip(lb1="BACKUP", lb2="FAULT"),
            {"address": "192.0.2.100"},
            "192.0.2.100 is held by none of lb1, lb2.",
            vip(lb1="BACKUP", lb2="MASTER"),
        ),
        Case(
            "VirtualAddressHeldByTwo",
            vip(lb1="MASTER", lb2="MASTER"),
            {"address": "192.0.2.100"},
            "192.0.2.100 is held by lb1, lb2 at once.",
            vip(lb1="MASTER", lb2="BACKUP"),
        ),
        Case(
            "VirtualAddressUnprotected",
            unit("keepalived.service", "active", "0x99", "lb1", "loadbalancers")
            | up("haproxy", "loadbalancers", lb1="1x99"),
            on("lb1", "loadbalancers", name="keepalived.service", state="active", type="simple"),
            "keepalived does not run on lb1, which cannot take over an address.",
            # It follows HAProxy, about which there are other alerts.
            unit("keepalived.service", "active", "0x99", "lb1", "loadbalancers")
            | up("haproxy", "loadbalancers", lb1="0x99"),
        ),
    ],
    "webservers": [
        Case(
            "WebServersDegraded",
            server("loadbalancers", "lb1", "web", web1="1x99", web2="1x99", web3="1x2 0x99"),
            {},
            "The load balancers send nothing to web3.",
            server("loadbalancers", "lb1", "web", web1="1x99", web2="1x99", web3="1x99", **{"web3-unchecked": "0x99"}),
        ),
        Case(
            "LastWebServer",
            server("loadbalancers", "lb1", "web", web1="1x2 0x99", web2="1x99")
            | server("loadbalancers", "lb2", "web", web1="1x2 0x99", web2="1x99"),
            {},
            "Only web2 is left of the web servers; one more and the site is off.",
            # One load balancer alone cannot reach it.
            server("loadbalancers", "lb1", "web", web1="1x2 0x99", web2="1x99")
            | server("loadbalancers", "lb2", "web", web1="1x99", web2="1x99"),
        ),
        Case(
            "WebServersLost",
            server("loadbalancers", "lb1", "web", web1="0x99", web2="0x99"),
            {},
            "The load balancers find no web server fit (web1, web2).",
            server("loadbalancers", "lb1", "web", web1="0x99", web2="1x99"),
        ),
        Case(
            "WebServerFlaps",
            server("loadbalancers", "lb1", "web", web1="1 0 1 0 1 0 1 0 1 0 1 1x99"),
            {"server": "web1"},
            "web1 went up and down 10 times within 10 minutes, as the load balancers see it.",
            server("loadbalancers", "lb1", "web", web1="1 0x9 1x99"),
        ),
        Case(
            "WebServerDrained",
            server("loadbalancers", "lb1", "web", "DRAIN", web1="1x999"),
            {"server": "web1"},
            "web1 has been out of rotation for half an hour, by somebody's word.",
            server("loadbalancers", "lb1", "web", "DRAIN", web1="1x99 0x999"),
            at="40m",
        ),
        Case(
            "NginxDown",
            {host("nginx_up", "", "web1", "webservers", "nginx"): "0x99"},
            on("web1", "webservers", "nginx"),
            "nginx does not answer on web1.",
            {host("nginx_up", "", "web1", "webservers", "nginx"): "1x20 0x1 1x99"},
        ),
        Case(
            "ApplicationFails",
            {
                host(
                    "app_requests_total", 'method="GET",route="/notes",status="200"', "web1", "webservers", "app"
                ): "0+90x99",
                host(
                    "app_requests_total", 'method="GET",route="/notes",status="500"', "web1", "webservers", "app"
                ): "0+10x99",
            },
            {"instance": "web1"} | WEB,
            "10% of the application's answers on web1 are errors.",
            {
                host(
                    "app_requests_total", 'method="GET",route="/notes",status="200"', "web1", "webservers", "app"
                ): "0+99x99",
                host(
                    "app_requests_total", 'method="GET",route="/notes",status="500"', "web1", "webservers", "app"
                ): "0+1x99",
            },
        ),
        Case(
            "ApplicationWaitsForDatabase",
            {
                host("app_database_seconds_bucket", 'database="write",le="1.0"', "web1", "webservers", "app"): "0+5x99",
                host(
                    "app_database_seconds_bucket", 'database="write",le="2.5"', "web1", "webservers", "app"
                ): "0+10x99",
                host(
                    "app_database_seconds_bucket", 'database="write",le="+Inf"', "web1", "webservers", "app"
                ): "0+10x99",
                host("app_database_seconds_count", 'database="write"', "web1", "webservers", "app"): "0+10x99",
            },
            {"instance": "web1", "database": "write"} | WEB,
            "One of a hundred requests on web1 waits 2.47s for the write database.",
            {
                host(
                    "app_database_seconds_bucket", 'database="write",le="1.0"', "web1", "webservers", "app"
                ): "0+10x99",
                host(
                    "app_database_seconds_bucket", 'database="write",le="+Inf"', "web1", "webservers", "app"
                ): "0+10x99",
                host("app_database_seconds_count", 'database="write"', "web1", "webservers", "app"): "0+10x99",
            },
        ),
        Case(
            "NoWayToWrites",
            server("webservers", "web1", "mysql-write", db1="0x99", db2="0x99"),
            {"instance": "web1"} | WEB,
            "web1 knows no database that takes writes.",
            server("webservers", "web1", "mysql-write", db1="0x99", db2="1x99"),
        ),
    ],
    "databases": [
        Case(
            "DatabaseDown",
            {host("mysql_up", job="mysqld"): "0x99"},
            on("db1", "databases", "mysqld"),
            "The database server on db1 does not answer.",
            {host("mysql_up", job="mysqld"): "1x20 0x1 1x99"},
        ),
        Case(
            "DatabasesDegraded",
            server("webservers", "web1", "mysql-write", db1="1x99", db2="0x99", db3="0x99")
            | server("webservers", "web1", "mysql-read", db1="0x99", db2="1x99", db3="0x99"),
            {},
            "The web servers use db3 for nothing.",
            server("webservers", "web1", "mysql-write", db1="1x99", db2="0x99", db3="0x99")
            | server("webservers", "web1", "mysql-read", db1="0x99", db2="1x99", db3="1x99"),
        ),
        Case(
            "LastDatabase",
            server("webservers", "web1", "mysql-write", db1="1x99", db2="0x99")
            | server("webservers", "web1", "mysql-read", db1="0x99", db2="0x99"),
            {},
            "Only db1 is left of the databases; one more and the site is off.",
            server("webservers", "web1", "mysql-write", db1="1x99", db2="0x99")
            | server("webservers", "web1", "mysql-read", db1="0x99", db2="1x99"),
        ),
        Case(
            "NoPrimary",
            databases(db1="1x99", db2="1x99"),
            {},
            "None of db1, db2 takes writes.",
            databases(db1="0x99", db2="1x99"),
        ),
        Case(
            "TwoPrimaries",
            databases(db1="0x99", db2="0x99"),
            {},
            "db1, db2 take writes at once.",
            # A switchover: never for longer than it takes to look twice.
            databases(db1="0x20 1x99", db2="1x19 0x99"),
        ),
        Case(
            "ReplicationBroken",
            databases(db1="0x99", db2="1x99") | replica(io="1x9 0x99"),
            {"instance": "db2"} | DB,
            "db2 does not replicate.",
            databases(db1="0x99", db2="1x99") | replica(io="1x19 0x1 1x99"),
        ),
        Case(
            "ReplicationBroken",
            databases(db1="0x99", db2="1x99") | mariadb_replica(io="1x9 0x99"),
            {"instance": "db2"} | DB,
            "db2 does not replicate.",
            databases(db1="0x99", db2="1x99") | mariadb_replica(),
        ),
        Case(
            "ReplicationLags",
            databases(db1="0x99", db2="1x99") | replica(lag="60x99"),
            {"instance": "db2"} | DB,
            "db2 is 1m 0s behind.",
            databases(db1="0x99", db2="1x99") | replica(lag="9x99"),
        ),
        Case(
            "ReplicationLags",
            databases(db1="0x99", db2="1x99") | mariadb_replica(lag="60x99"),
            {"instance": "db2"} | DB,
            "db2 is 1m 0s behind.",
            databases(db1="0x99", db2="1x99") | mariadb_replica(lag="9x99"),
        ),
        Case(
            "DatabaseDiverges",
            {host("tandem_host_database_diverges", instance="db2"): "0x9 1x89"},
            on("db2", "databases"),
            "db2 holds transactions that the primary lacks; it must not take its place.",
            {host("tandem_host_database_diverges", instance="db2"): "0x99"},
        ),
        Case(
            "NoSemiSync",
            databases(db1="0x99", db2="1x99")
            | {host("mysql_global_status_rpl_semi_sync_source_status", job="mysqld"): "0x99"},
            {"instance": "db1"} | DB,
            "Commits on db1 wait for no replica; if it is lost now, so are they.",
            # Off on a replica, as it should be.
            databases(db1="1x99", db2="0x99")
            | {host("mysql_global_status_rpl_semi_sync_source_status", job="mysqld"): "0x99"},
        ),
        Case(
            "NoSemiSync",
            databases(db1="0x99", db2="1x99")
            | {host("mysql_global_status_rpl_semi_sync_master_status", job="mysqld"): "0x99"},
            {"instance": "db1"} | DB,
            "Commits on db1 wait for no replica; if it is lost now, so are they.",
            # In a group, they wait for the majority.
            databases(db1="0x99", db2="1x99")
            | {
                host("mysql_global_status_rpl_semi_sync_source_status", job="mysqld"): "0x99",
                host("mysql_perf_schema_replication_group_member_info", 'member_state="ONLINE"', job="mysqld"): "1x99",
            },
        ),
        Case(
            "QuorumAtRisk",
            databases(db1="0x99", db2="1x99", db3="1x99")
            | {host("mysql_global_status_wsrep_cluster_size", job="mysqld"): "2x99"},
            {},
            "The cluster has 2 members of db1, db2, db3; it needs a majority.",
            databases(db1="0x99", db2="1x99", db3="1x99")
            | {host("mysql_global_status_wsrep_cluster_size", job="mysqld"): "3x99"},
        ),
        Case(
            "NoSemiSync",
            databases(db1="0x99", db2="1x99")
            | {host("mysql_global_status_rpl_semi_sync_master_status", job="mysqld"): "0x99"},
            {"instance": "db1"} | DB,
            "Commits on db1 wait for no replica; if it is lost now, so are they.",
            # In a group, they wait for the majority.
            databases(db1="0x99", db2="1x99")
            | {
                host("mysql_global_status_rpl_semi_sync_source_status", job="mysqld"): "0x99",
                host("mysql_perf_schema_replication_group_member_info", 'member_state="ONLINE"', job="mysqld"): "1x99",
            },
        ),
        Case(
            "QuorumAtRisk",
            databases(db1="0x99", db2="1x99", db3="1x99")
            | {
                host(
                    "mysql_perf_schema_replication_group_member_info",
                    f'member_id="{number}",member_state="{state}"',
                    job="mysqld",
                ): "1x99"
                for number, state in ((1, "ONLINE"), (2, "ONLINE"), (3, "UNREACHABLE"))
            },
            {},
            "The cluster has 2 members of db1, db2, db3; it needs a majority.",
            # No cluster at all.
            databases(db1="0x99", db2="1x99", db3="1x99"),
        ),
        Case(
            "DatabaseConnectionsRunOut",
            {
                host("mysql_global_status_threads_connected", job="mysqld"): "90x99",
                host("mysql_global_variables_max_connections", job="mysqld"): "100x99",
            },
            on("db1", "databases", "mysqld"),
            "90% of the connections that db1 allows are in use.",
            {
                host("mysql_global_status_threads_connected", job="mysqld"): "70x99",
                host("mysql_global_variables_max_connections", job="mysqld"): "100x99",
            },
        ),
    ],
    "backups": [
        Case(
            "BackupFailed",
            {host("tandem_backup_failed", 'task="run"'): "1x99"},
            on("db1", "databases", task="run"),
            "The task run of the backups failed on db1.",
            {host("tandem_backup_failed", 'task="run"'): "0x99"},
        ),
        Case(
            "BackupLate",
            {host("tandem_backup_newest_timestamp_seconds", 'task="run",kind="base"'): "0x750"}
            | up("mysqld", "databases", db1="1x750"),
            {},
            "The newest backup of db1 is 1d 16h 0m 0s old.",
            {host("tandem_backup_newest_timestamp_seconds", 'task="run",kind="base"'): "0x360 86400x750"},
            at="40h",
            step="4m",
        ),
        Case(
            "BackupMissing",
            unit("tandem-backup-run.timer", "active", "1x750", "db1", "databases"),
            {},
            "None of db1 has made a backup.",
            unit("tandem-backup-run.timer", "active", "1x750", "db1", "databases")
            | {host("tandem_backup_newest_timestamp_seconds", 'task="run",kind="base"'): "_x15 3600x750"},
            at="37h",
            step="4m",
        ),
        Case(
            "BinaryLogsLate",
            {host("tandem_backup_archive_until_timestamp_seconds", 'task="archive"'): "0x200"}
            | up("mysqld", "databases", db1="1x200"),
            {},
            "What was written in the last 10m 0s is in no backup of db1.",
            {
                host("tandem_backup_archive_until_timestamp_seconds", 'task="archive"'): "0x200",
                # One host's are enough.
                host("tandem_backup_archive_until_timestamp_seconds", 'task="archive"', "db2"): "0+5x200",
            },
            at="10m",
        ),
        Case(
            "RestoreProofFailed",
            {host("tandem_backup_proof_ok", 'task="prove"', "mon1", "monitoring"): "0x200"},
            on("mon1", "monitoring", task="prove"),
            "The newest backup could not be restored, or is not equal to its server, says mon1.",
            # While a proof is under way.
            {host("tandem_backup_proof_ok", 'task="prove"', "mon1", "monitoring"): "1x20 0x40 1x200"},
            at="90m",
            step="1m",
        ),
        Case(
            "RestoreProofLate",
            {
                host("tandem_backup_proof_backup_timestamp_seconds", 'task="prove"', "mon1", "monitoring"): "0x1000",
                host("tandem_backup_proof_ok", 'task="prove"', "mon1", "monitoring"): "1x1000",
            },
            {},
            "The backup that was proven last by mon1 is 2d 14h 0m 0s old.",
            {
                host(
                    "tandem_backup_proof_backup_timestamp_seconds", 'task="prove"', "mon1", "monitoring"
                ): "0x360 86400x1000"
            },
            at="62h",
            step="4m",
        ),
    ],
    "hosts": [
        Case(
            "HostDown",
            up("node", "webservers", web1="1x2 0x99", web2="1x99"),
            on("web1", "webservers"),
            "web1 does not answer.",
            up("node", "webservers", web1="1x20 0x1 1x99", web2="1x99"),
        ),
        Case(
            "TargetDown",
            up("node", "databases", db1="1x99") | up("mysqld", "databases", db1="0x99"),
            on("db1", "databases", "mysqld"),
            "db1 does not tell the numbers of mysqld.",
            # The whole host is away.
            up("node", "databases", db1="0x99") | up("mysqld", "databases", db1="0x99"),
        ),
        Case(
            "UnitFailed",
            unit("certbot.service", "failed", "1x99", "lb1", "loadbalancers"),
            on("lb1", "loadbalancers", name="certbot.service", state="failed", type="simple"),
            "certbot.service has failed on lb1.",
            unit("certbot.service", "failed", "0x99", "lb1", "loadbalancers")
            | unit("certbot.service", "inactive", "1x99", "lb1", "loadbalancers"),
        ),
        Case(
            "CertificateOnHostEnds",
            {host("tandem_host_certificate_not_after_timestamp_seconds", 'file="/mysql.pem"'): f"{20 * DAY + 120}x99"},
            on("db1", "databases", file="/mysql.pem"),
            "/mysql.pem on db1 ends in 20d 0h 0m 0s.",
            {host("tandem_host_certificate_not_after_timestamp_seconds", 'file="/mysql.pem"'): f"{22 * DAY}x99"},
        ),
        Case(
            "ConfigurationNotInForce",
            {host("tandem_host_configuration_stale", 'service="haproxy"', "lb1", "loadbalancers"): "1x999"},
            on("lb1", "loadbalancers", service="haproxy"),
            "haproxy on lb1 runs with other files than those that are written.",
            # A run between writing and reloading.
            {host("tandem_host_configuration_stale", 'service="haproxy"', "lb1", "loadbalancers"): "1x60 0x99"},
            at="12m",
        ),
        Case(
            "DiskFullSoon",
            disk("39-0.05x999", "100x999", "0x999"),
            on("db1", "databases", **DISK_LABELS),
            "/ on db1 will be full within four days.",
            # It fills, but there is much left.
            disk("90-0.001x999", "100x999", "0x999"),
            at="8h",
            step="1m",
        ),
        Case(
            "DiskFull",
            disk("4x99"),
            on("db1", "databases", **DISK_LABELS),
            "/ on db1 has 4% left.",
            # A medium that nobody writes to is full by nature.
            disk("0x99", readonly="1x99"),
        ),
        Case(
            "InodesRunOut",
            disk("4x99", kind="files"),
            on("db1", "databases", **DISK_LABELS),
            "/ on db1 has room for 4% of its files.",
            # A file system that has no such limit.
            disk("0x99", "0x99", kind="files"),
        ),
        Case(
            "MemoryRunsOut",
            {host("node_memory_MemAvailable_bytes"): "4x99", host("node_memory_MemTotal_bytes"): "100x99"},
            on("db1", "databases"),
            "db1 has 4% of its memory left.",
            {host("node_memory_MemAvailable_bytes"): "6x99", host("node_memory_MemTotal_bytes"): "100x99"},
        ),
        Case(
            "ProcessKilledForMemory",
            {host("node_vmstat_oom_kill"): "0x9 1x99"},
            on("db1", "databases"),
            "The kernel killed a process on db1, because there was no memory left.",
            {host("node_vmstat_oom_kill"): "7x99"},
        ),
        Case(
            "FilesRunOut",
            {host("node_filefd_allocated"): "90x99", host("node_filefd_maximum"): "100x99"},
            on("db1", "databases"),
            "90% of the files that db1 may open are open.",
            {host("node_filefd_allocated"): "70x99", host("node_filefd_maximum"): "100x99"},
        ),
        Case(
            "ConnectionTrackingRunsOut",
            {host("node_nf_conntrack_entries"): "90x99", host("node_nf_conntrack_entries_limit"): "100x99"},
            on("db1", "databases"),
            "90% of the connections that the firewall of db1 can follow are in use.",
            {host("node_nf_conntrack_entries"): "70x99", host("node_nf_conntrack_entries_limit"): "100x99"},
        ),
        Case(
            "ClockSkewed",
            {host("node_time_seconds"): "5+5x99"},
            on("db1", "databases"),
            "The clock of db1 is 5s away from the monitoring host's.",
            {host("node_time_seconds"): "0.5+5x99"},
        ),
    ],
    "monitoring": [
        Case(
            "Watchdog",
            up("prometheus", "monitoring", mon1="1x99"),
            {},
            "Alerts get through from mon1. This one always fires; that it does not arrive is the alert.",
            None,
        ),
        Case(
            "TargetsMissing",
            up("node", "databases", db1="1x99", db2="1x99") | up("mysqld", "databases", db1="1x99"),
            {},
            "Some of db1, db2 are not asked for what they should tell.",
            up("node", "databases", db1="1x99", db2="1x99") | up("mysqld", "databases", db1="1x99", db2="0x99"),
        ),
        Case(
            "PrometheusConfigurationRefused",
            {host("prometheus_config_last_reload_successful", "", *PROMETHEUS): "0x99"},
            on("mon1", "monitoring", "prometheus"),
            "Prometheus on mon1 refused its last configuration, and goes on with the one before.",
            {host("prometheus_config_last_reload_successful", "", *PROMETHEUS): "1x99"},
        ),
        Case(
            "RulesFail",
            {
                host(
                    "prometheus_rule_evaluation_failures_total", 'rule_group="g"', "mon1", "monitoring", "prometheus"
                ): "0+1x99"
            },
            on("mon1", "monitoring", "prometheus", rule_group="g"),
            "Prometheus on mon1 cannot evaluate rules of g.",
            {
                host(
                    "prometheus_rule_evaluation_failures_total", 'rule_group="g"', "mon1", "monitoring", "prometheus"
                ): "3x99"
            },
        ),
        Case(
            "NumbersNotStored",
            {host("prometheus_tsdb_wal_writes_failed_total", "", *PROMETHEUS): "0+1x99"},
            on("mon1", "monitoring", "prometheus"),
            "Prometheus on mon1 cannot store what it is told.",
            {
                host("prometheus_tsdb_wal_writes_failed_total", "", *PROMETHEUS): "1x99",
                host("prometheus_tsdb_head_samples_appended_total", 'type="float"', *PROMETHEUS): "0+9x99",
                host("prometheus_tsdb_head_samples_appended_total", 'type="histogram"', *PROMETHEUS): "0x99",
            },
        ),
        Case(
            "AlertsNotSent",
            {
                host(
                    "prometheus_notifications_errors_total", 'alertmanager="a"', "mon1", "monitoring", "prometheus"
                ): "0+1x99"
            },
            on("mon1", "monitoring", "prometheus", alertmanager="a"),
            "Alerts of mon1 do not get through.",
            {
                host(
                    "alertmanager_notifications_failed_total",
                    'integration="email"',
                    "mon1",
                    "monitoring",
                    "alertmanager",
                ): "7x99"
            },
        ),
    ],
}
