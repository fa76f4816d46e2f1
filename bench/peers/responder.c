/*
 * The floor of the TAP benchmark: what a program can reach that answers frames of a TAP without any stack. It answers ARP, ping, UDP echo and just as much
 * of TCP as the load asks for: no timers but one, no options but MSS and window scale, no reordering, no congestion control. What was lost is sent again from
 * where the acknowledgments stopped.
 *
 *     responder TAP plain|vnet
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

#include "tap.h"

enum {
  ETH = 14,
  HEADERS = ETH + 20 + 20,
  BATCH = 64,
  MSS = 1460,
  SEGMENTS = 44,      /* of a super-segment: 64,240 bytes */
  OUR_SCALE = 4,      /* a window of 1 MiB: less than what the TAP's queue holds */
  STALLED_MS = 20,
  REPEATED = 3,       /* acknowledgments that say so much are of a loss */
  ICMP_ECHO = 8,
};

struct flow {
  uint16_t port;
  uint8_t scale;
  uint8_t repeated;
  uint32_t received, acknowledged, sent, window;
};

/* A frame with its virtio_net_hdr, which is written only where the TAP has it. */
struct __attribute__((packed)) buffer {
  struct virtio_net_hdr vnet;
  uint8_t frame[HEADERS + 65536];
};

static int tap, vnet;
static struct buffer in, out;
/* By the client's port. */
static struct flow flows[65536];
/* The client's ports of the flow that asked for data last, and of the one that is to be acknowledged. */
static int source = -1, owed = -1;
/* What all answers begin with: there is one client. */
static uint8_t header[ETH + 20];

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }
static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16), put16(p + 2, v); }

static void swap(uint8_t *a, uint8_t *b, size_t length) {
  uint8_t c[8];
  memcpy(c, a, length);
  memcpy(a, b, length);
  memcpy(b, c, length);
}

/* Sum of 32-bit words, whose fold is the ones' complement sum of RFC 1071; of machine order. */
static uint64_t sum(const uint8_t *bytes, size_t length, uint64_t so_far) {
  uint32_t word;
  for (; length >= 4; bytes += 4, length -= 4) {
    memcpy(&word, bytes, 4);
    so_far += word;
  }
  word = 0;
  memcpy(&word, bytes, length);
  return so_far + word;
}

static uint16_t fold(uint64_t value) {
  while (value >> 16) value = (value & 0xffff) + (value >> 16);
  return (uint16_t)value;
}

/* False if the TAP takes no more. */
static int put(struct buffer *buffer, size_t length) {
  const uint8_t *const from = vnet ? (uint8_t *)buffer : buffer->frame;
  if (vnet) length += sizeof buffer->vnet;
  if (write(tap, from, length) >= 0) return 1;
  if (errno != EAGAIN && errno != ENOBUFS) die("write");
  return 0;
}

/* Sends what is in `in` back where it came from; its checksums stay what they are. */
static void put_back(size_t length) {
  swap(in.frame, in.frame + 6, 6);
  swap(in.frame + ETH + 12, in.frame + ETH + 16, 4);
  put(&in, length);
}

/* Sends a segment whose payload is in `out` already. */
static int put_segment(struct flow *flow, int client, uint8_t flags, size_t options, size_t payload) {
  uint8_t *const ip = out.frame + ETH, *const tcp = ip + 20;
  const size_t length = 20 + options + payload;
  memcpy(out.frame, header, sizeof header);
  put16(ip + 2, (uint32_t)(20 + length));
  const uint16_t ip_sum = (uint16_t)~fold(sum(ip, 20, 0));
  memcpy(ip + 10, &ip_sum, 2);
  put16(tcp, flow->port);
  put16(tcp + 2, (uint32_t)client);
  put32(tcp + 4, flow->sent);
  put32(tcp + 8, flow->received);
  tcp[12] = (uint8_t)((20 + options) << 2);
  tcp[13] = flags;
  put16(tcp + 14, 65535);
  put32(tcp + 16, 0);
  const uint64_t pseudo = sum(ip + 12, 8, 0) + htons(IPPROTO_TCP) + htons((uint16_t)length);
  const uint16_t tcp_sum = vnet ? fold(pseudo) : (uint16_t)~fold(sum(tcp, length, pseudo));
  memcpy(tcp + 16, &tcp_sum, 2);
  if (vnet) {
    out.vnet = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = payload > MSS ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_NONE,
        .hdr_len = HEADERS,
        .gso_size = payload > MSS ? MSS : 0,
        .csum_start = ETH + 20,
        .csum_offset = 16,
    };
  }
  if (!put(&out, ETH + 20 + length)) return 0;
  flow->sent += (uint32_t)payload + !!(flags & (TH_SYN | TH_FIN));
  return 1;
}

static void acknowledge(void) {
  if (owed >= 0) put_segment(&flows[owed], owed, TH_ACK, 0, 0);
  owed = -1;
}

/* Sends what the client's window takes. */
static void pump(void) {
  if (source < 0) return;
  struct flow *const flow = &flows[source];
  const size_t most = vnet ? MSS * SEGMENTS : MSS;
  while (flow->window - (flow->sent - flow->acknowledged) >= most && flow->sent - flow->acknowledged <= flow->window)
    if (!put_segment(flow, source, TH_ACK, 0, most)) return;
}

/* Starts again at what was acknowledged last. */
static void go_back(void) {
  if (source >= 0) flows[source].sent = flows[source].acknowledged;
}

static void on_syn(const uint8_t *tcp, struct flow *flow, int client) {
  /* Lengths and checksum are each segment's. */
  const uint8_t ip[12] = {0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, IPPROTO_TCP, 0, 0};
  memcpy(header, in.frame + 6, 6);
  memcpy(header + 6, in.frame, 6);
  put16(header + 12, ETH_P_IP);
  memcpy(header + ETH, ip, sizeof ip);
  memcpy(header + ETH + 12, in.frame + ETH + 16, 4);
  memcpy(header + ETH + 16, in.frame + ETH + 12, 4);
  *flow = (struct flow){.port = get16(tcp + 2), .received = get32(tcp + 4) + 1};
  const uint8_t *const end = tcp + (tcp[12] >> 4) * 4;
  for (const uint8_t *option = tcp + 20; option < end && *option != TCPOPT_EOL; option += *option == TCPOPT_NOP ? 1 : option[1]) {
    if (*option == TCPOPT_WINDOW) flow->scale = option[2];
    if (*option != TCPOPT_NOP && option[1] == 0) break;
  }
  const uint8_t options[8] = {TCPOPT_MAXSEG, 4, MSS >> 8, MSS & 0xff, TCPOPT_NOP, TCPOPT_WINDOW, 3, OUR_SCALE};
  memcpy(out.frame + HEADERS, options, sizeof options);
  put_segment(flow, client, TH_SYN | TH_ACK, sizeof options, 0);
  if (flow->port == SOURCE_PORT) source = client;
}

static void on_acknowledgment(const uint8_t *tcp, struct flow *flow, size_t payload) {
  const uint32_t acknowledged = get32(tcp + 8), window = (uint32_t)get16(tcp + 14) << flow->scale;
  if ((int32_t)(acknowledged - flow->acknowledged) > 0) {
    flow->acknowledged = acknowledged;
    flow->repeated = 0;
    if ((int32_t)(flow->sent - acknowledged) < 0) flow->sent = acknowledged;
  } else if (payload == 0 && window == flow->window && flow->sent != acknowledged && ++flow->repeated == REPEATED) go_back();
  flow->window = window;
}

static void on_data(const uint8_t *tcp, struct flow *flow, int client, size_t payload) {
  const int in_order = get32(tcp + 4) == flow->received;
  if (in_order) flow->received += (uint32_t)payload;
  if (in_order && flow->port == ECHO_PORT) {
    memcpy(out.frame + HEADERS, tcp + (tcp[12] >> 4) * 4, payload);
    put_segment(flow, client, TH_ACK | TH_PUSH, 0, payload);
  } else if (in_order) {
    if (owed != client) acknowledge();
    owed = client;
  } else put_segment(flow, client, TH_ACK, 0, 0);
}

static void on_tcp(const uint8_t *tcp, size_t length) {
  const int client = get16(tcp);
  struct flow *const flow = &flows[client];
  const size_t payload = length - (size_t)(tcp[12] >> 4) * 4;
  const uint8_t flags = tcp[13];
  if (flags & TH_RST) {
    if (source == client) source = -1;
    return;
  }
  if (flags & TH_SYN) {
    on_syn(tcp, flow, client);
    return;
  }
  on_acknowledgment(tcp, flow, payload);
  if (payload > 0) on_data(tcp, flow, client, payload);
  if (flags & TH_FIN && get32(tcp + 4) + (uint32_t)payload == flow->received) {
    flow->received++;
    if (owed == client) owed = -1;
    if (source == client) source = -1;
    put_segment(flow, client, TH_FIN | TH_ACK, 0, 0);
  }
}

static void on_arp(size_t length) {
  uint8_t *const arp = in.frame + ETH;
  if (get16(arp + 6) != 1) return;
  put16(arp + 6, 2);
  swap(arp + 8, arp + 18, 6);
  swap(arp + 14, arp + 24, 4);
  memcpy(arp + 8, TAP_MAC, 6);
  memcpy(in.frame, in.frame + 6, 6);
  memcpy(in.frame + 6, TAP_MAC, 6);
  put(&in, length);
}

static void on_frame(size_t length) {
  uint8_t *const ip = in.frame + ETH, *const next = ip + 20;
  const uint16_t type = get16(in.frame + 12);
  if (type == ETH_P_ARP) on_arp(length);
  if (type != ETH_P_IP || ip[0] != 0x45) return;
  if (ip[9] == IPPROTO_TCP) on_tcp(next, get16(ip + 2) - 20U);
  else if (ip[9] == IPPROTO_UDP && get16(next + 2) == UDP_PORT) {
    swap(next, next + 2, 2);
    put_back(length);
  } else if (ip[9] == IPPROTO_ICMP && next[0] == ICMP_ECHO) {
    next[0] = 0;
    // RFC 1624: the type's word fell by 0x0800.
    const uint32_t checksum = get16(next + 2) + 0x0800U;
    put16(next + 2, (checksum & 0xffff) + (checksum >> 16));
    put_back(length);
  }
}

static void serve(void) {
  const size_t before = vnet ? sizeof in.vnet : 0;
  for (int i = 0; i < BATCH; i++) {
    const ssize_t got = read(tap, vnet ? (uint8_t *)&in : in.frame, sizeof in - sizeof in.vnet + before);
    if (got < 0) {
      if (errno != EAGAIN) die("read");
      break;
    }
    on_frame((size_t)got - before);
  }
  acknowledge();
  pump();
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: responder TAP plain|vnet\n");
    return 2;
  }
  vnet = strcmp(argv[2], "vnet") == 0;
  tap = tap_open(argv[1], vnet);
  say_ready();
  for (struct pollfd readable = {.fd = tap, .events = POLLIN};;) {
    if (poll(&readable, 1, source >= 0 ? STALLED_MS : -1) == 0) go_back();
    serve();
  }
}
