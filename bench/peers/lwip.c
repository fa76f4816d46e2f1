/*
 * The application of the TAP benchmark on lwIP's raw API, in one thread. The library's options are those that it was built with: Debian's has windows
 * of 64 KiB. Frames are read into PBUF_RAM.
 *
 *     lwip TAP ADDRESS
 */

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>
#include <lwip/udp.h>
#include <netif/ethernet.h>

#include "tap.h"

enum { BATCH = 64, MOST_FRAME = 2048, MTU = 1500, BACKLOG = 255 };

static int tap;
static const char block[BLOCK];

/* --- the interface --- */

static err_t put_frame(struct netif *netif, struct pbuf *frame) {
  (void)netif;
  static char whole[MOST_FRAME];
  const void *const bytes = frame->next == NULL ? frame->payload : whole;
  if (frame->next != NULL) pbuf_copy_partial(frame, whole, frame->tot_len, 0);
  if (write(tap, bytes, frame->tot_len) >= 0) return ERR_OK;
  return errno == EAGAIN || errno == ENOBUFS ? ERR_MEM : ERR_IF;
}

static err_t set_up(struct netif *netif) {
  netif->name[0] = 't';
  netif->name[1] = 'p';
  netif->output = etharp_output;
  netif->linkoutput = put_frame;
  netif->mtu = MTU;
  netif->hwaddr_len = ETH_HWADDR_LEN;
  memcpy(netif->hwaddr, TAP_MAC, ETH_HWADDR_LEN);
  netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
  return ERR_OK;
}

/* False if there is no more. */
static int take_frame(struct netif *netif) {
  static char bytes[MOST_FRAME];
  const ssize_t got = read(tap, bytes, sizeof bytes);
  if (got <= 0) return 0;
  struct pbuf *const frame = pbuf_alloc(PBUF_RAW, (u16_t)got, PBUF_RAM);
  if (frame == NULL) return 1;
  memcpy(frame->payload, bytes, (size_t)got);
  if (netif->input(frame, netif) != ERR_OK) pbuf_free(frame);
  return 1;
}

/* --- TCP --- */

static void forget(struct tcp_pcb *one) {
  tcp_recv(one, NULL);
  tcp_sent(one, NULL);
  if (tcp_close(one) != ERR_OK) tcp_abort(one);
}

static err_t discard(void *context, struct tcp_pcb *one, struct pbuf *data, err_t error) {
  (void)context, (void)error;
  if (data == NULL) {
    forget(one);
    return ERR_OK;
  }
  tcp_recved(one, data->tot_len);
  pbuf_free(data);
  return ERR_OK;
}

static err_t echo(void *context, struct tcp_pcb *one, struct pbuf *data, err_t error) {
  for (const struct pbuf *part = data; part != NULL; part = part->next)
    if (tcp_write(one, part->payload, part->len, TCP_WRITE_FLAG_COPY) != ERR_OK) break;
  if (data != NULL) tcp_output(one);
  return discard(context, one, data, error);
}

/* By reference: the block never changes. */
static err_t fill(void *context, struct tcp_pcb *one, u16_t acknowledged) {
  (void)context, (void)acknowledged;
  while (tcp_sndbuf(one) > 0) {
    const u32_t room = tcp_sndbuf(one);
    if (tcp_write(one, block, (u16_t)(room < UINT16_MAX ? room : UINT16_MAX), 0) != ERR_OK) break;
  }
  tcp_output(one);
  return ERR_OK;
}

static err_t on_discard(void *context, struct tcp_pcb *one, err_t error) {
  (void)context, (void)error;
  tcp_recv(one, discard);
  return ERR_OK;
}

static err_t on_echo(void *context, struct tcp_pcb *one, err_t error) {
  (void)context, (void)error;
  tcp_nagle_disable(one);
  tcp_recv(one, echo);
  return ERR_OK;
}

static err_t on_source(void *context, struct tcp_pcb *one, err_t error) {
  on_discard(context, one, error);
  tcp_sent(one, fill);
  return fill(NULL, one, 0);
}

static void serve(u16_t port, tcp_accept_fn accept) {
  struct tcp_pcb *const listener = tcp_new();
  tcp_bind(listener, IP_ADDR_ANY, port);
  tcp_accept(tcp_listen_with_backlog(listener, BACKLOG), accept);
}

/* --- UDP --- */

static void echo_datagram(void *context, struct udp_pcb *socket, struct pbuf *data, const ip_addr_t *from, u16_t port) {
  (void)context;
  udp_sendto(socket, data, from, port);
  pbuf_free(data);
}

int main(int argc, char **argv) {
  ip4_addr_t address, mask;
  if (argc != 3 || !ip4addr_aton(argv[2], &address)) {
    fprintf(stderr, "usage: lwip TAP ADDRESS\n");
    return 2;
  }
  tap = tap_open(argv[1], 0);
  lwip_init();
  struct netif netif;
  IP4_ADDR(&mask, 255, 255, 255, 0);
  if (netif_add(&netif, &address, &mask, NULL, NULL, set_up, ethernet_input) == NULL) return 1;
  netif_set_default(&netif);
  netif_set_up(&netif);
  serve(DISCARD_PORT, on_discard);
  serve(SOURCE_PORT, on_source);
  serve(ECHO_PORT, on_echo);
  struct udp_pcb *const udp = udp_new();
  udp_bind(udp, IP_ADDR_ANY, UDP_PORT);
  udp_recv(udp, echo_datagram, NULL);
  say_ready();
  for (struct pollfd readable = {.fd = tap, .events = POLLIN};;) {
    const u32_t sleep = sys_timeouts_sleeptime();
    poll(&readable, 1, sleep < INT32_MAX ? (int)sleep : -1);
    for (int i = 0; i < BATCH && take_frame(&netif); i++);
    sys_check_timeouts();
  }
}
