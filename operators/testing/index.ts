/** Tests of packet pipelines: marble diagrams whose values are packets, and packet assertions. Published as `./testing`. */

export {
  type ChecksumVerdict,
  type Comparison,
  describe as describePacket,
  type Direction,
  hexdump,
  type NotationContext,
  NotationError,
  type NotationOptions,
  type PacketDescription,
  PacketNotation,
  type PacketSpec,
  pretty,
} from '../../lib/text/index.js';
export { compliance, type Rig, type TestFramework } from '../../drivers/compliance.js';
export { chaiPackets } from './chai-packets.js';
export { packetdrill, type PacketdrillOptions } from './packetdrill/packetdrill.js';
export type { IpMode, Place } from './packetdrill/script.js';
export type { ProfileName } from './packetdrill/settings.js';
export { type Answer, type EventResult, type Outcome, resultText, type ScriptResult } from './packetdrill/result.js';
export { ScriptError } from './packetdrill/script-error.js';
export { sameTimeline, timelineDiff, type TimelineEntry } from './diff.js';
export type { DropExpectation } from './expect-drops.js';
export type { PacketLine, TxExpectation } from './expect-tx.js';
export type { Legend } from './marbles.js';
export { net, type NetHelpers, type NetOptions } from './net.js';
export { network, type Network, type NetworkLink, type NodeObserver } from './network.js';
export type {
  NetworkAddresses,
  NetworkHostOptions,
  NetworkLinkOptions,
  NetworkNode,
  NetworkOptions,
  NetworkRoute,
} from './network-options.js';
export { learningSwitch } from './learning-switch.js';
export type { NetworkProgram, ProgramOutput } from './program/program.js';
export type { ProgramOptions } from './program/start.js';
export { MarbleMismatch } from './test-run.js';
export { testDevice, type TestDeviceOptions } from './test-device.js';
export { toCsv, toJson } from './series/export.js';
export { type PlotKind, type SvgOptions, toSvg } from './series/plots.js';
export { recordTcp, seriesOfCapture, type TcpRecording } from './series/record-tcp.js';
export {
  type SentRange,
  type SeriesPoint,
  type SeriesRange,
  type StateSample,
  type TcpSeries,
  throughput,
} from './series/tcp-series.js';
export { type Access, dumbbell, star, type Topology } from './topologies.js';
