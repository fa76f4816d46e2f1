/* Attaches to a TAP that exists. Its other side is set up by whoever made it. */

#ifndef TAP_H
#define TAP_H

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>

#include "peer.h"

/* Our side of every TAP of the benchmark. */
static const unsigned char TAP_MAC[6] = {0x02, 0, 0, 0, 0, 0x02};

/* Frames carry a virtio_net_hdr of 10 bytes where `vnet` is set, and checksums and segmentation are then the reader's. */
static inline int tap_open(const char *name, int vnet) {
  const int fd = check(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "/dev/net/tun");
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0));
  check(ioctl(fd, TUNSETIFF, &request), name);
  if (vnet) check(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN), "TUNSETOFFLOAD");
  return fd;
}

#endif
