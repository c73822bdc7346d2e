# shellcheck shell=bash
# What bin/up says at its end. Nothing is assumed: the site is asked through each load balancer, and
# the databases are asked for their role. Sourced, never run.
# shellcheck source=lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# hosts GROUP: the containers of a group, in order.
hosts() {
  docker ps --filter "label=tandem.inventory=$lab" --format '{{.Names}} {{.Label "tandem.groups"}}' |
    awk -v group="$1" '{for (i = 2; i <= NF; i++) if ($i == group) print $1}' | sort
}

address() { docker inspect -f "{{(index .NetworkSettings.Networks \"$lab\").IPAddress}}" "$1"; }

# visit ADDRESS PATH: one GET of the site through the load balancer at ADDRESS. The name need not be
# in any DNS, and a redirect to HTTPS is followed. The certificate is verified where the lab's ACME CA has issued it.
visit() {
  local verify=(--insecure)
  [[ ! -e $state/acme-root.pem ]] || verify=(--cacert "$state/acme-root.pem")
  curl "${verify[@]}" -sSL -m 10 --fail --connect-to "::$1:" "http://$domain$2"
}

# Which web servers answer through the load balancer at ADDRESS.
served_by() {
  for _ in {1..6}; do visit "$1" /whoami 2>/dev/null || true; done |
    grep -o '"web": *"[^"]*"' | cut -d'"' -f4 | sort -u | paste -sd' '
}

# role HOST: what a database's own role check says, asked on its host because the firewall lets only
# web servers in.
role() {
  local role
  for role in primary replica; do
    docker exec "$1" python3 -c \
      "import urllib.request as u; u.urlopen('http://$(address "$1"):9200/$role', timeout=5)" 2>/dev/null &&
      echo "$role" && return
  done
  echo "serves nobody"
}

# A reload may be under way, so the first answer is waited for.
wait_for_site() {
  local end=$((SECONDS + 30))
  while ((SECONDS < end)); do
    visit "$1" /whoami >/dev/null 2>&1 && return
    sleep 1
  done
  die "the site does not answer through $1: $(visit "$1" /whoami 2>&1 | tail -n 1)"
}

# holder ADDRESS: the load balancer that holds a virtual address now.
holder() {
  local host
  for host in $(hosts loadbalancers); do
    [[ $(docker exec "$host" ip -o address) == *" $1/"* ]] && echo "${host#"$lab"-}" && return
  done
  echo "nobody"
}

# overview HOST: where the page is that shows the site, if there is one.
overview() {
  local url
  url=https://$(address "$1"):9443/
  [[ $(curl -ks -m 5 -o /dev/null -w '%{http_code}' "$url") == 401 ]] || return 0
  printf '  Overview\n    %-6s %s as admin; the password is in %s\n' "${1#"$lab"-}" "$url" "$root/$state/secrets/overview_password"
}

# settings INVENTORY: the site's domain, its TLS, and its virtual addresses if it has any.
settings() {
  local values='{{ site_domain }} {{ site_tls | default("acme") }} {{ site_vips | default([]) | tandem.web.addresses | join(" ") }}'
  .venv/bin/ansible -i "$1" 'loadbalancers[0]' -m ansible.builtin.debug -a "msg='values: $values'" |
    grep -o "values: [^']*" | cut -d' ' -f2-
}

# report INVENTORY
report() {
  local host front scheme vip vips trust='-k'
  read -r domain scheme vips < <(settings "$1")
  [[ $scheme == none ]] && scheme=http || scheme=https
  front=${vips%% *}
  front=${front:-$(address "$(hosts loadbalancers | head -n 1)")}
  [[ -e $state/acme-root.pem ]] && trust="--cacert $state/acme-root.pem"
  wait_for_site "$front"

  echo
  echo "  $scheme://$domain"
  for vip in $vips; do
    printf '    %-6s %-14s held by %s\n' VIP "$vip" "$(holder "$vip")"
  done
  for host in $(hosts loadbalancers); do
    printf '    %-6s %-14s served by %s\n' "${host#"$lab"-}" "$(address "$host")" "$(served_by "$(address "$host")")"
  done
  echo "  Databases"
  for host in $(hosts databases); do
    printf '    %-6s %-14s %s\n' "${host#"$lab"-}" "$(address "$host")" "$(role "$host")"
  done
  for host in $(hosts monitoring); do overview "$host"; done
  echo "  Secrets and internal CA (git ignores them)"
  echo "    $root/$state"
  echo
  echo "  To try next:"
  echo "    curl $trust --connect-to ::$front: $scheme://$domain/whoami"
  echo "    curl $trust --connect-to ::$front: -d '{\"text\": \"hello\"}' -H 'Content-Type: application/json' $scheme://$domain/notes"
  echo "    docker kill $(hosts webservers | tail -n 1)    # the site goes on; bin/up brings the host back"
  echo "    bin/ssh $(hosts databases | head -n 1 | sed "s/^$lab-//")    # a shell there"
  echo "    bin/down       # removes all of it"
  echo
}
