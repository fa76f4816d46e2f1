/** What a wire would carry of a frame whose metadata leave work to a device: for those that look at packets one by one, or spoil them. */

import type { Medium } from '../core/device.js';
import type { DropReason } from '../core/drops.js';
import { ChecksumState, type Frame, type FramePool, GsoType } from '../core/frame.js';
import { networkOffset } from './network-offset.js';
import { completeChecksum, segment } from './segmentation.js';

/** Whether a frame is what a wire would carry: one packet, its checksum complete. */
export function isAsOnWire(frame: Frame): boolean {
  return frame.gsoType === GsoType.None && frame.checksum !== ChecksumState.Partial;
}

/** The frame with its checksum complete: a copy, if somebody else holds it. Takes over its reference. */
export function withChecksum(frame: Frame, pool: FramePool): Frame {
  if (frame.checksum !== ChecksumState.Partial) return frame;
  const own = frame.writable ? frame : pool.copy(frame);
  if (own !== frame) frame.release();
  completeChecksum(own);
  return own;
}

/**
 * Gives `emit` the packets that a wire would carry of a frame, and their references: the frame itself, where it is one of them. Takes over
 * its reference.
 *
 * @param medium what the frame starts with
 * @returns why a super-segment cannot be cut: then nothing was emitted, and the frame still is the caller's
 */
export function asOnWire(
  frame: Frame,
  medium: Medium,
  pool: FramePool,
  emit: (packet: Frame) => void,
): DropReason | undefined {
  if (frame.gsoType === GsoType.None) {
    emit(withChecksum(frame, pool));
    return undefined;
  }
  const wrong = segment(frame, networkOffset(frame, medium), pool, emit);
  if (wrong === undefined) frame.release();
  return wrong;
}
