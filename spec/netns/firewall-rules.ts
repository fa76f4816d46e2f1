/** Rule files that mean the same to nftables and to us: each is loaded as it stands by both. */

/** One file. */
export interface RuleFile {
  readonly name: string;
  readonly text: string;
  /** Fragments are not put together before they are judged. */
  readonly pieces: boolean;
}

const file = (name: string, policy: 'accept' | 'drop', rules: string, rest = ''): RuleFile => ({
  name,
  // The kernel puts fragments together where a rule asks for states.
  pieces: !/\bct\b/.test(rules),
  text: `table inet filter {${rest}
  chain forward {
    type filter hook forward priority 0; policy ${policy};
    ${rules}
  }
}
`,
});

/** The client is 10.1.0.2 and .3, behind `cli0`; the server 10.2.0.2, behind `srv0`; the same with fd01:: and fd02::. */
export const RULE_FILES: readonly RuleFile[] = [
  file(
    'ports, without states',
    'drop',
    `tcp dport { 22, 80-90 } accept
    tcp sport { 22, 80-90 } accept
    udp dport 53 accept; udp sport 53 accept
    icmp type echo-request accept
    icmp type echo-reply accept`,
  ),
  file(
    'states: replies pass, what nobody asked for does not',
    'drop',
    `ct state established,related accept
    ct state invalid drop
    iifname "cli0" oifname "srv0" ct state new tcp dport { 80, 443 } accept
    iifname "cli0" udp dport 53 accept
    iifname "cli0" icmpv6 type echo-request accept
    iifname "srv0" ip daddr 10.1.0.3 tcp dport 22 accept`,
  ),
  file(
    'named sets of networks and ports',
    'accept',
    `ip saddr @friends accept
    ip6 saddr @friends6 accept
    tcp dport @services drop
    udp dport != 53 drop`,
    `
  set friends { type ipv4_addr; flags interval; elements = { 10.1.0.3, 10.2.0.0/24, 192.168.0.1-192.168.0.77 } }
  set friends6 { type ipv6_addr; flags interval; elements = { fd01::3, fd02::/64 } }
  set services { type inet_service; flags interval; elements = { 22, 80-443 } }`,
  ),
  file(
    'rejections of every kind',
    'accept',
    `tcp dport 22 reject with tcp reset
    tcp dport 80 reject
    udp dport 53 reject with icmpx type admin-prohibited
    udp dport 5000 reject with icmpx host-unreachable
    tcp dport 443 drop
    icmp type echo-request reject with icmp type net-unreachable
    icmpv6 type echo-request reject with icmpv6 type no-route`,
  ),
  file(
    'chains: jump, goto, return, and policies',
    'drop',
    `ct state established accept
    meta l4proto tcp jump tcps
    meta l4proto udp goto udps
    meta l4proto { icmp, icmpv6 } accept`,
    `
  chain tcps {
    tcp dport 22 return
    iifname "srv0" return
    tcp dport 80 goto web
    tcp dport 443 accept
  }
  chain web {
    ip saddr 10.1.0.2 accept
    ip6 saddr fd01::3 accept
  }
  chain udps {
    udp dport 5000 accept
  }`,
  ),
  file(
    'flags of TCP',
    'accept',
    `tcp flags & (fin | syn | rst | ack) == syn tcp dport 22 drop
    tcp flags syn / syn,ack ip saddr 10.1.0.3 drop
    tcp flags & (syn | ack) == syn | ack tcp sport 443 drop
    tcp flags ! ack ip6 saddr fd01::3 tcp dport 80 reject with tcp reset`,
  ),
  file(
    'negations, and marks',
    'accept',
    `ip saddr != 10.1.0.2 tcp dport 80 drop
    meta l4proto != { tcp, udp, icmp, icmpv6 } drop
    tcp dport 443 meta mark set 0x5
    meta mark & 0x4 == 0x4 ip6 daddr fd02::2 drop
    udp dport 5000 meta mark set 0x1
    meta mark set meta mark | 0x10
    meta mark 0x11 drop
    oifname != "srv0" ct direction original drop`,
  ),
  file(
    'limits: so many connections and no more',
    'drop',
    `ct state established accept
    ct state new tcp dport 80 limit rate 3/hour burst 3 packets accept
    ct state new tcp dport 443 limit rate over 2/hour burst 2 packets drop
    ct state new tcp dport 443 accept
    udp dport 53 limit rate 1/hour burst 4 packets counter accept`,
  ),
  file(
    'lengths, hop limits and classes of service',
    'accept',
    `meta length > 1000 ip saddr 10.1.0.2 drop
    meta length 0-500 icmpv6 type echo-request ip6 saddr fd01::3 drop
    ip ttl < 20 drop
    ip6 hoplimit { 9, 18-20 } drop
    ip dscp != cs0 drop`,
  ),
  file(
    'fragments',
    'accept',
    `ip frag-off & 0x1fff != 0 ip saddr 10.1.0.2 drop
    exthdr frag exists ip6 saddr fd01::3 drop`,
  ),
  file(
    'which chain comes first',
    'drop',
    'tcp dport 80 accept; tcp sport 80 accept; meta l4proto udp accept',
    `
  chain early {
    type filter hook forward priority -10; policy accept;
    udp dport 53 drop
    ip saddr 10.1.0.3 accept
  }
  chain late {
    type filter hook forward priority 10;
    ip6 saddr fd01::3 tcp dport 80 drop
  }`,
  ),
];
