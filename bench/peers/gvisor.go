// The application of the TAP benchmark on gVisor's netstack: its own link endpoint for descriptors where frames are plain, and where they carry a
// virtio_net_hdr one of ours around it, because its own does segmentation offload on sockets only. One goroutine a connection, as Go has it.
//
//	gvisor TAP ADDRESS plain|vnet DISCARD-PORT SOURCE-PORT ECHO-PORT UDP-PORT
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/bufferv2"
	diagnostics "gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/link/rawfile"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	nic     = 1
	mtu     = 1500
	mac     = "\x02\x00\x00\x00\x00\x02"
	block   = 128 << 10
	largest = 65536
	// Of struct virtio_net_hdr.
	vnetHeader    = 10
	needsChecksum = 1
	gsoTCPv4      = 1
	// TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 and TUN_F_TSO_ECN of linux/if_tun.h.
	offloads = 1 | 2 | 4 | 8
	buffers  = 1 << 20
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func mustTCP(err tcpip.Error) {
	if err != nil {
		log.Fatal(err)
	}
}

func openTap(name string, vnet bool) int {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK, 0)
	must(err)
	request, err := unix.NewIfreq(name)
	must(err)
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if vnet {
		flags |= unix.IFF_VNET_HDR
	}
	request.SetUint16(flags)
	must(unix.IoctlIfreq(fd, unix.TUNSETIFF, request))
	if vnet {
		must(unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offloads))
	}
	return fd
}

// An endpoint whose frames carry a virtio_net_hdr. Everything but reading and writing is the embedded one's.
type offloading struct {
	stack.LinkEndpoint
	fd         int
	dispatcher stack.NetworkDispatcher
}

func (e *offloading) GSOMaxSize() uint32               { return largest }
func (e *offloading) SupportedGSO() stack.SupportedGSO { return stack.HostGSOSupported }
func (e *offloading) IsAttached() bool                 { return e.dispatcher != nil }

func (e *offloading) Attach(dispatcher stack.NetworkDispatcher) {
	e.dispatcher = dispatcher
	if dispatcher != nil {
		go e.read()
	}
}

func (e *offloading) read() {
	buffer := make([]byte, vnetHeader+header.EthernetMinimumSize+largest)
	for {
		n, err := rawfile.BlockingRead(e.fd, buffer)
		if err != nil || n <= 0 {
			log.Fatalf("read: %v", err)
		}
		view := bufferv2.NewViewWithData(buffer[vnetHeader:n])
		packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: bufferv2.MakeWithView(view)})
		if ethernet, ok := packet.LinkHeader().Consume(header.EthernetMinimumSize); ok {
			e.dispatcher.DeliverNetworkPacket(header.Ethernet(ethernet).Type(), packet)
		}
		packet.DecRef()
	}
}

func (e *offloading) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	for i, packet := range packets.AsSlice() {
		var vnet [vnetHeader]byte
		if gso := packet.GSOOptions; gso.Type != stack.GSONone {
			if gso.NeedsCsum {
				vnet[0] = needsChecksum
				binary.LittleEndian.PutUint16(vnet[6:], header.EthernetMinimumSize+gso.L3HdrLen)
				binary.LittleEndian.PutUint16(vnet[8:], gso.CsumOffset)
			}
			binary.LittleEndian.PutUint16(vnet[2:], uint16(packet.HeaderSize()))
			if packet.Data().Size() > int(gso.MSS) {
				vnet[1] = gsoTCPv4
				binary.LittleEndian.PutUint16(vnet[4:], gso.MSS)
			}
		}
		parts := []unix.Iovec{rawfile.IovecFromBytes(vnet[:])}
		for _, part := range packet.AsSlices() {
			parts = rawfile.AppendIovecFromBytes(parts, part, rawfile.MaxIovs)
		}
		if err := rawfile.NonBlockingWriteIovec(e.fd, parts); err != nil {
			return i, err
		}
	}
	return packets.Len(), nil
}

func newStack(fd int, vnet bool, address tcpip.Address) *stack.Stack {
	link, err := fdbased.New(&fdbased.Options{
		FDs: []int{fd}, MTU: mtu, EthernetHeader: true, Address: mac, RXChecksumOffload: vnet,
	})
	must(err)
	if vnet {
		link = &offloading{LinkEndpoint: link, fd: fd}
	}
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
	})
	sack := tcpip.TCPSACKEnabled(true)
	mustTCP(s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack))
	// As those of Linux: the defaults do not grow.
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	mustTCP(s.SetTransportProtocolOption(tcp.ProtocolNumber, &moderate))
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4 << 10, Default: buffers, Max: 6 << 20}
	mustTCP(s.SetTransportProtocolOption(tcp.ProtocolNumber, &receive))
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4 << 10, Default: buffers, Max: 4 << 20}
	mustTCP(s.SetTransportProtocolOption(tcp.ProtocolNumber, &send))
	mustTCP(s.CreateNIC(nic, link))
	own := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{Address: address, PrefixLen: 24}}
	mustTCP(s.AddProtocolAddress(nic, own, stack.AddressProperties{}))
	s.SetRouteTable([]tcpip.Route{{Destination: own.AddressWithPrefix.Subnet(), NIC: nic}})
	return s
}

func serve(s *stack.Stack, port uint16, handle func(net.Conn)) {
	listener, err := gonet.ListenTCP(s, tcpip.FullAddress{Port: port}, ipv4.ProtocolNumber)
	must(err)
	go func() {
		for {
			conn, err := listener.Accept()
			must(err)
			go func() {
				handle(conn)
				conn.Close()
			}()
		}
	}()
}

func discard(conn net.Conn) {
	buffer := make([]byte, block)
	for {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}

func source(conn net.Conn) {
	buffer := make([]byte, block)
	for {
		if _, err := conn.Write(buffer); err != nil {
			return
		}
	}
}

func echo(conn net.Conn) {
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func echoDatagrams(s *stack.Stack, port uint16) {
	var queue waiter.Queue
	endpoint, err := s.NewEndpoint(udp.ProtocolNumber, ipv4.ProtocolNumber, &queue)
	mustTCP(err)
	endpoint.SocketOptions().SetReceiveBufferSize(buffers, true)
	mustTCP(endpoint.Bind(tcpip.FullAddress{Port: port}))
	conn := gonet.NewUDPConn(s, &queue, endpoint)
	buffer := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFrom(buffer)
		must(err)
		conn.WriteTo(buffer[:n], from)
	}
}

func main() {
	if len(os.Args) != 8 {
		log.Fatal("usage: gvisor TAP ADDRESS plain|vnet DISCARD-PORT SOURCE-PORT ECHO-PORT UDP-PORT")
	}
	diagnostics.SetTarget(diagnostics.GoogleEmitter{Writer: &diagnostics.Writer{Next: io.Discard}})
	vnet := os.Args[3] == "vnet"
	var ports [4]uint16
	for i := range ports {
		port, err := strconv.Atoi(os.Args[4+i])
		must(err)
		ports[i] = uint16(port)
	}
	s := newStack(openTap(os.Args[1], vnet), vnet, tcpip.Address(net.ParseIP(os.Args[2]).To4()))
	serve(s, ports[0], discard)
	serve(s, ports[1], source)
	serve(s, ports[2], echo)
	fmt.Println("ready")
	echoDatagrams(s, ports[3])
}
