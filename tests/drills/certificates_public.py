"""Every public certificate is renewed 10 times, on all load balancers at the same moment."""

from concurrent.futures import ThreadPoolExecutor

NEEDS = {"acme_hosts": 1}
HOLD = 2
# As certbot.service has it: the lab's CA is not one that Debian knows.
TRUST = "REQUESTS_CA_BUNDLE=/etc/tandem/pki/ca.pem"


def inject(site):
    for _ in range(10):
        with ThreadPoolExecutor() as pool:
            list(pool.map(renew, site.acme_hosts))


def renew(host):
    host.run("env", TRUST, "certbot", "renew", "--force-renewal", "--no-random-sleep-on-renew", timeout=180)
