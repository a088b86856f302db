//! What waits to be sent, and whose turn it is.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::Arc;

use bytes::Bytes;

use super::{Course, Lane, STREAM_BYTES_MAX, STREAMS_MAX, Way, lane};
use crate::id::{ChannelId, OperationId};
use crate::tail::Tail;
use crate::wire::{BATCH_BYTES_TARGET, BatchWriter, CHUNK_BYTES_MAX, Frame, WHOLE_BYTES_MAX};

/// A frame costs about so many bytes of memory beside its payload.
const FRAME_COST: usize = 128;

/// So many values after another's frame go in pieces, though nothing waits behind them.
const COMPANY: u32 = 64;

/// Frames of one side of a session that have no number yet.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Goes before all else: heartbeats, and what a value held up that has ended.
    first: VecDeque<Frame>,
    line: VecDeque<Frame>,
    /// The youngest of the line, as long as it grows.
    tail: Option<Arc<Tail>>,
    /// How many of those in line will be values in turns.
    large_in_line: usize,
    /// Under way, by turn.
    streams: VecDeque<Stream>,
    streams_bytes: usize,
    /// In turns, when there is room.
    waiting: VecDeque<Stream>,
    /// A lane for each value in turns, with what waits behind it.
    lanes: BTreeMap<Lane, VecDeque<Frame>>,
    behind: usize,
    /// Channels to which values in turns carry handles, and how many.
    carried: BTreeMap<ChannelId, usize>,
    /// Whether a value that holds its place stops the line.
    is_stopped: bool,
    /// What the line has sent since the last piece.
    since_piece: usize,
    last_stream: u64,
    bytes: usize,
    company: Company,
}

/// Whether others than one channel have something to send. A value that nobody waits behind goes
/// at once, for pieces cost a copy at the other side.
#[derive(Debug, Default)]
struct Company {
    /// What was spoken of last.
    lane: Option<Lane>,
    /// So many more values go in pieces.
    left: u32,
}

impl Company {
    fn note(&mut self, frame: &Frame) {
        if let Frame::Heartbeat {} = frame {
            return;
        }
        let lane = lane(frame);
        if self.lane.is_some() && (lane.is_none() || lane != self.lane) {
            self.left = COMPANY;
        }
        self.lane = lane.or(self.lane);
    }
}

/// A value in pieces.
#[derive(Debug)]
struct Stream {
    /// 0 until it begins.
    number: u64,
    /// None if it holds its place.
    lane: Option<Lane>,
    /// Without the payload.
    frame: Box<Frame>,
    /// Channels to which it carries handles.
    carries: Vec<ChannelId>,
    total: usize,
    rest: Bytes,
}

impl Outbox {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many frames wait.
    pub fn len(&self) -> usize {
        let streams = self.streams.len() + self.waiting.len();
        let tail = usize::from(self.tail.is_some());
        self.first.len() + self.line.len() + tail + streams + self.behind
    }

    /// About how much memory they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The youngest in line. It may grow, but not beyond a chunk.
    pub fn back_mut(&mut self) -> Option<&mut Frame> {
        self.seal();
        self.line.back_mut()
    }

    /// Whether a frame need not come here, for nothing waits and it travels at once.
    pub fn may_be_passed(&mut self, frame: &Frame) -> bool {
        let may_be = self.is_empty() && Way::of(frame) == Way::Whole;
        if may_be {
            self.company.note(frame);
        }
        may_be
    }

    /// A frame is to be sent. A send that is given up before it has left is not sent at all.
    pub fn push_back(&mut self, frame: Frame) {
        match &frame {
            Frame::Heartbeat {} => return self.first.push_back(frame),
            Frame::CancelSend { channel, operation } if self.give_up(*channel, *operation) => {
                return;
            }
            _ => {}
        }
        self.seal();
        self.push_in_line(frame);
    }

    /// What is to be sent from now on until something else comes, or it leaves.
    pub(crate) fn grow(&mut self, tail: Arc<Tail>) {
        self.seal();
        self.tail = Some(tail);
    }

    /// Whether nothing waits but what may wait for a moment.
    pub(crate) fn may_wait(&self) -> bool {
        self.len() == 1 && self.tail.as_ref().is_some_and(|tail| tail.may_wait())
    }

    fn seal(&mut self) {
        if let Some(tail) = self.tail.take() {
            let sealed = tail.seal();
            match (self.line.back_mut(), &sealed) {
                (
                    Some(Frame::Took { channel, first, count }),
                    Frame::Took { channel: same, first: next, count: more },
                ) if channel == same && *first + u64::from(*count) == *next => *count += *more,
                _ => self.push_in_line(sealed),
            }
        }
    }

    fn push_in_line(&mut self, frame: Frame) {
        self.company.note(&frame);
        self.bytes += cost(&frame);
        self.large_in_line += usize::from(matches!(Way::of(&frame), Way::InTurns(_)));
        self.line.push_back(frame);
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.seal();
        *self = Self::default();
    }

    /// Fills a batch until it is large enough. True if more waits.
    pub fn fill(&mut self, batch: &mut BatchWriter) -> bool {
        self.seal();
        while batch.len() < BATCH_BYTES_TARGET && self.put_next(batch) {}
        !self.is_empty()
    }

    /// Nobody wants the value of an operation on a channel any more. False if it has left, or is
    /// none in turns.
    pub fn give_up(&mut self, channel: ChannelId, operation: OperationId) -> bool {
        let is_it = |frame: &Frame| {
            matches!(frame, Frame::Send { operation: it, .. }
                | Frame::TrySend { operation: it, .. }
                | Frame::Offer { operation: it, .. } if *it == operation)
        };
        let lane = Lane::Channel(channel);
        if let Some(behind) = self.lanes.get_mut(&lane) {
            if let Some(at) = behind.iter().position(is_it) {
                let frame = behind.remove(at);
                self.behind -= 1;
                self.bytes = self.bytes.saturating_sub(frame.as_ref().map_or(0, cost));
                return true;
            }
            let is_stream = |stream: &Stream| stream.lane == Some(lane) && is_it(&stream.frame);
            if let Some(at) = self.waiting.iter().position(is_stream) {
                let stream = self.waiting.remove(at);
                stream.into_iter().for_each(|stream| self.end(stream));
                return true;
            }
            if let Some(at) = self.streams.iter().position(is_stream) {
                let stream = self.streams.remove(at);
                stream.into_iter().for_each(|stream| self.leave(stream));
                return true;
            }
        }
        if self.large_in_line > 0
            && let Some(at) = self
                .line
                .iter()
                .position(|frame| matches!(Way::of(frame), Way::InTurns(_)) && is_it(frame))
        {
            let frame = self.line.remove(at);
            self.large_in_line -= 1;
            self.bytes = self.bytes.saturating_sub(frame.as_ref().map_or(0, cost));
            return true;
        }
        false
    }

    /// One under way is given up.
    fn leave(&mut self, stream: Stream) {
        if stream.number > 0 {
            self.first.push_back(Frame::Scrap { stream: stream.number });
        }
        self.streams_bytes -= stream.total;
        self.end(stream);
        self.let_in();
    }

    fn put_next(&mut self, batch: &mut BatchWriter) -> bool {
        if let Some(frame) = self.first.pop_front() {
            self.put(batch, &frame);
            return true;
        }
        let is_lines_turn = self.streams.is_empty() || self.since_piece < CHUNK_BYTES_MAX;
        if is_lines_turn && let Some(frame) = self.next_in_line() {
            let before = batch.len();
            self.put(batch, &frame);
            self.since_piece += batch.len() - before;
            return true;
        }
        self.since_piece = 0;
        // What was in line may have begun.
        self.put_piece(batch)
    }

    fn put(&mut self, batch: &mut BatchWriter, frame: &Frame) {
        self.bytes = self.bytes.saturating_sub(cost(frame));
        batch.push(frame);
    }

    /// The next frame of the line that travels at once. Those that do not begin to travel.
    fn next_in_line(&mut self) -> Option<Frame> {
        loop {
            let next = self.line.front().filter(|_| !self.is_stopped)?;
            if !self.lanes.is_empty() {
                match Course::of(next) {
                    Course::Passes => {}
                    Course::Behind(lane) => {
                        if let Some(behind) = self.lanes.get_mut(&lane) {
                            let is_large = matches!(Way::of(next), Way::InTurns(_));
                            self.large_in_line -= usize::from(is_large);
                            behind.extend(self.line.pop_front());
                            self.behind += 1;
                            continue;
                        }
                    }
                    Course::StopsFor(channel) => {
                        let lane = Lane::Channel(channel);
                        if self.lanes.contains_key(&lane) || self.carried.contains_key(&channel) {
                            return None;
                        }
                    }
                    Course::StopsForAll => return None,
                }
            }
            let frame = self.line.pop_front()?;
            match Way::of(&frame) {
                Way::Whole => return Some(frame),
                Way::InTurns(lane) => {
                    self.large_in_line -= 1;
                    self.lanes.insert(lane, VecDeque::new());
                    self.begin(frame, Some(lane));
                }
                Way::InPlace => {
                    self.is_stopped = true;
                    self.begin(frame, None);
                }
            }
        }
    }

    fn begin(&mut self, mut frame: Frame, lane: Option<Lane>) {
        let carries: Vec<_> = frame.passages().iter().map(|passage| passage.channel).collect();
        let rest = frame.payload_mut().map(mem::take).unwrap_or_default();
        for channel in &carries {
            *self.carried.entry(*channel).or_default() += 1;
        }
        let (frame, total) = (Box::new(frame), rest.len());
        self.waiting.push_back(Stream { number: 0, lane, frame, carries, total, rest });
        self.let_in();
    }

    /// Lets those begin for which there is room.
    fn let_in(&mut self) {
        while let Some(next) = self.waiting.front()
            && self.streams.len() < STREAMS_MAX
            && self.streams_bytes + next.total <= STREAM_BYTES_MAX
        {
            self.streams_bytes += next.total;
            self.streams.extend(self.waiting.pop_front());
        }
    }

    /// A piece of the value whose turn it is.
    fn put_piece(&mut self, batch: &mut BatchWriter) -> bool {
        let Some(mut stream) = self.streams.pop_front() else { return false };
        if stream.number == 0 {
            if self.is_alone(&stream) {
                self.put_whole(batch, stream);
                return true;
            }
            self.company.left = self.company.left.saturating_sub(1);
            self.last_stream += 1;
            stream.number = self.last_stream;
        }
        let bytes = stream.rest.split_to(stream.rest.len().min(CHUNK_BYTES_MAX));
        self.bytes = self.bytes.saturating_sub(bytes.len());
        let left = stream.rest.len() as u32;
        batch.push(&Frame::Chunk { stream: stream.number, left, bytes });
        if left > 0 {
            self.streams.push_back(stream);
            return true;
        }
        let frame = mem::replace(&mut stream.frame, Box::new(Frame::Heartbeat {}));
        batch.push(&Frame::Whole { stream: stream.number, frame });
        self.streams_bytes -= stream.total;
        self.end(stream);
        self.let_in();
        true
    }

    /// Whether nobody waits for a value that has not begun, nor is likely to.
    fn is_alone(&self, stream: &Stream) -> bool {
        let no_other = self.streams.is_empty() && self.waiting.is_empty() && self.line.is_empty();
        no_other && self.company.left == 0 && stream.total <= WHOLE_BYTES_MAX
    }

    fn put_whole(&mut self, batch: &mut BatchWriter, mut stream: Stream) {
        if let Some(payload) = stream.frame.payload_mut() {
            *payload = mem::take(&mut stream.rest);
        }
        batch.push(&stream.frame);
        self.bytes = self.bytes.saturating_sub(stream.total);
        self.streams_bytes -= stream.total;
        self.end(stream);
        self.let_in();
    }

    /// A value in pieces is no more: what waited for it goes on.
    fn end(&mut self, stream: Stream) {
        let Stream { lane, carries, rest, .. } = stream;
        self.bytes = self.bytes.saturating_sub(FRAME_COST + rest.len());
        for channel in carries {
            if let Some(count) = self.carried.get_mut(&channel) {
                *count -= 1;
                if *count == 0 {
                    self.carried.remove(&channel);
                }
            }
        }
        let Some(lane) = lane else {
            self.is_stopped = false;
            return;
        };
        let mut behind = self.lanes.remove(&lane).unwrap_or_default();
        while let Some(frame) = behind.pop_front() {
            self.behind -= 1;
            if Way::of(&frame) == Way::Whole {
                self.first.push_back(frame);
                continue;
            }
            self.lanes.insert(lane, behind);
            return self.begin(frame, Some(lane));
        }
    }
}

fn cost(frame: &Frame) -> usize {
    frame.payload_bytes() + FRAME_COST
}
