//! Every frame between a node and the coordinator: this file is the protocol's specification;
//! `landing` and `leases` are parts of it.

use std::fmt;

use bytes::Bytes;

use super::field::Field;
use super::{
    Build, Contents, End, MalformedFrame, Parcel, Parcels, Passage, Role, Secret, Side,
    SpawnOptions, Stats, Usage, Vitals,
};
use crate::id::{ChannelId, OperationId, SessionId, TaskId};

#[macro_use]
mod landing;
#[macro_use]
mod leases;
#[macro_use]
mod workers;

with_landing! { with_leases with_workers frames
    /// Node: the first frame of a session.
    1 Hello {
        /// Must be [`PROTOCOL_VERSION`](super::PROTOCOL_VERSION).
        version: u16,
        /// Must equal the client's.
        build: Build,
        /// What the node is.
        role: Role,
        /// Must be the client's key or the one given with the launch.
        secret: Secret,
        /// Random. The same when the node says hello again because no welcome came.
        nonce: u64,
    }
    /// Coordinator: the node is part of the system now.
    2 Welcome {
        /// The node's name from now on.
        session: SessionId,
        /// Which incarnation it is; every envelope says it.
        epoch: u64,
        /// Silence of this length, in milliseconds, and the node is fenced.
        lease_ms: u64,
        /// Opens the next link of the session, once.
        secret: Secret,
    }
    /// Coordinator: the node is not let in, and the link ends.
    3 Turned {
        /// What differs, in words.
        reason: String,
    }
    /// Both: still here. Sent when nothing else was for a third of the lease; acknowledged at once.
    4 Heartbeat {}
    /// Node: it leaves of its own will; handles it still holds count as dropped.
    5 Goodbye {}
    /// Node: the first frame of a new link, for a session whose last one broke.
    50 Resume {
        /// The session.
        session: SessionId,
        /// Must be the session's.
        epoch: u64,
        /// The last of the coordinator's frames that came.
        last: u64,
        /// Must be the one that came with the last `Welcome` or `Resumed`.
        secret: Secret,
    }
    /// Coordinator: the session goes on.
    51 Resumed {
        /// The last of the node's frames that came.
        last: u64,
        /// Opens the next link of the session, once.
        secret: Secret,
    }
    /// Coordinator: no such session, or a wrong secret: what was not acknowledged never happens.
    52 Fenced {
        /// In words, for people.
        reason: String,
    }
    /// Node: a channel's home is the coordinator from here on. Its contents follow, then handles.
    10 Export {
        /// Not known to the receiver yet.
        channel: ChannelId,
        /// Its capacity.
        capacity: u32,
        /// 1 if the node holds send handles, else 0.
        senders: u32,
        /// 1 if the node holds receive handles, else 0.
        receivers: u32,
    }
    /// Node: a value that was in the buffer of a channel being exported.
    11 Restore {
        /// The channel being exported.
        channel: ChannelId,
        /// The value.
        parcel: Parcel,
    }
    /// Node: a send. Answered by `Sent` or `Refused`.
    12 Send {
        /// The channel.
        channel: ChannelId,
        /// The sender's name for it.
        operation: OperationId,
        /// The value.
        parcel: Parcel,
    }
    /// Node: the future of a send was dropped. Too late if its value is on its way.
    13 CancelSend {
        /// The channel.
        channel: ChannelId,
        /// The send.
        operation: OperationId,
    }
    /// Node: a receive. Answered by `Offer` or `Ended`.
    14 Receive {
        /// The channel.
        channel: ChannelId,
        /// The receiver's name for it.
        operation: OperationId,
        /// Which of the node's selects it is a case of; 0 for none.
        select: u64,
    }
    /// Node: the offered value was taken by a task. Precedes every later effect of that task.
    15 Accept {
        /// The channel.
        channel: ChannelId,
        /// The receive.
        operation: OperationId,
    }
    /// Node: the future of a receive was dropped; an offered value goes back to its old place.
    16 Decline {
        /// The channel.
        channel: ChannelId,
        /// The receive.
        operation: OperationId,
    }
    /// Node: close. Answered by `Closed`.
    17 Close {
        /// The channel.
        channel: ChannelId,
        /// The closer's name for it.
        operation: OperationId,
    }
    /// Node: handles of one side are gone from it.
    18 Detach {
        /// The channel.
        channel: ChannelId,
        /// The side.
        side: Side,
        /// How many arrivals of such handles (in messages, arguments or by export) it gives back.
        arrivals: u32,
    }
    /// Node: a send that does not wait for room. Answered by `Sent`, `Full` or `Refused`.
    19 TrySend {
        /// The channel.
        channel: ChannelId,
        /// The sender's name for it.
        operation: OperationId,
        /// The value.
        parcel: Parcel,
    }
    /// Node: a select would send, and stands in line for it. Answered by `Ready` when it is its
    /// turn, though not with a receive of the same select; or by `Refused`. Given up by
    /// `CancelSend`.
    7 Watch {
        /// The channel.
        channel: ChannelId,
        /// The sender's name for it.
        operation: OperationId,
        /// Which of the node's selects it is a case of; not 0.
        select: u64,
    }
    /// Node: which of these could go now, looked at at one moment? Answered by `Surveyed`.
    6 Survey {
        /// The sender's name for the question.
        operation: OperationId,
        /// A channel and the end of it that would be used, for each.
        cases: Vec<Passage>,
    }
    /// Node: a receive that does not wait. Answered by `Offer`, `Empty` or `Ended`.
    8 TryReceive {
        /// The channel.
        channel: ChannelId,
        /// The receiver's name for it.
        operation: OperationId,
    }
    /// Node: how many values does the channel hold? Answered by `Measured`.
    9 Measure {
        /// The channel.
        channel: ChannelId,
        /// The sender's name for the question.
        operation: OperationId,
    }
    /// Coordinator: the send returns Ok.
    20 Sent {
        /// The send.
        operation: OperationId,
    }
    /// Coordinator: the channel ended before the send.
    21 Refused {
        /// The send.
        operation: OperationId,
        /// How it ended.
        end: End,
    }
    /// Coordinator: a value is reserved for the receive until `Accept` or `Decline`.
    22 Offer {
        /// The channel.
        channel: ChannelId,
        /// The receive.
        operation: OperationId,
        /// For which time it is offered, from 1.
        attempt: u32,
        /// The value.
        parcel: Parcel,
    }
    /// Coordinator: the channel ended and is drained.
    23 Ended {
        /// The receive.
        operation: OperationId,
        /// How it ended.
        end: End,
    }
    /// Coordinator: the close took effect, or came second.
    24 Closed {
        /// The close.
        operation: OperationId,
        /// 1 if this close ended the channel, 0 if it had ended before.
        first: u32,
    }
    /// Coordinator: there was no room for a `TrySend`, and no receive that waited and took it.
    25 Full {
        /// The send.
        operation: OperationId,
    }
    /// Coordinator: nothing was there for a `TryReceive`.
    26 Empty {
        /// The receive.
        operation: OperationId,
    }
    /// Coordinator: a partner, or room, is reserved for the send of a select. Answered by
    /// `Prepared`, or by `CancelSend` if the select has chosen another case.
    28 Ready {
        /// The `Watch`.
        operation: OperationId,
    }
    /// Coordinator: how many values the channel held when the question came.
    27 Measured {
        /// The question.
        operation: OperationId,
        /// The answer.
        length: u64,
    }
    /// Node: sends that have returned Ok, each under a credit. Not answered.
    60 Prepaid {
        /// The channel.
        channel: ChannelId,
        /// The values, in the order of the sends.
        parcels: Parcels,
    }
    /// Node: credits that it will not use.
    61 Repay {
        /// The channel.
        channel: ChannelId,
        /// How many.
        credits: u32,
        /// What their `Credit` said, if it came when there was no handle to send.
        detaches: u64,
    }
    /// Node: it keeps receiving, so values may be offered ahead of its receives, until `Recall`.
    62 Ahead {
        /// The channel.
        channel: ChannelId,
        /// How many may be on offer ahead at once.
        window: u32,
        /// Every early offer below this number has come.
        seen: u64,
    }
    /// Node: early offers were taken by tasks. Precedes every later effect of those tasks.
    63 Took {
        /// The channel.
        channel: ChannelId,
        /// The number of the first.
        first: u64,
        /// How many, in a row.
        count: u32,
    }
    /// Node: early offers that go back to their old places.
    64 Untaken {
        /// The channel.
        channel: ChannelId,
        /// The number of the first.
        first: u64,
        /// How many, in a row.
        count: u32,
    }
    /// Node: a receive is given up, its offer counts as early. Answered by `Again` if none is out.
    70 Abandon {
        /// The channel.
        channel: ChannelId,
        /// The receive.
        operation: OperationId,
    }
    /// Coordinator: free places of the buffer are kept for this node: as many sends return at once.
    65 Credit {
        /// The channel.
        channel: ChannelId,
        /// How many more.
        credits: u32,
        /// How many `Detach` of the node had come by now.
        detaches: u64,
    }
    /// Coordinator: another needs the credits. Those that are not spent are to be repaid.
    66 Revoke {
        /// The channel.
        channel: ChannelId,
    }
    /// Coordinator: values ahead of the node's receives, each answered by `Took` or `Untaken`.
    67 Early {
        /// The channel.
        channel: ChannelId,
        /// The number of the first; the others follow.
        first: u64,
        /// How many `Detach` of the node had come by now.
        detaches: u64,
        /// For which time each is offered, from 1.
        attempt: u32,
        /// The values.
        parcels: Parcels,
    }
    /// Coordinator: early offers that no task has are to go back; no more come until asked for.
    68 Recall {
        /// The channel.
        channel: ChannelId,
    }
    /// Coordinator: what it asks for was on its way when it asked. It may look, and ask again.
    69 Again {
        /// The channel.
        channel: ChannelId,
        /// The send or receive. It does not wait at the home.
        operation: OperationId,
    }
    /// Coordinator: which could have gone: a hint if one could, the truth if none could.
    29 Surveyed {
        /// The question.
        operation: OperationId,
        /// The first that could, counted from 1; 0 for none.
        ready: u32,
    }
    /// Node: run a task somewhere.
    30 Spawn {
        /// Chosen by the sender; a repetition is ignored.
        task: TaskId,
        /// The function.
        name: String,
        /// Hash of its argument and result types as written.
        signature: u64,
        /// What it asks for.
        options: SpawnOptions,
        /// A new channel of capacity 1 for the outcome, whose receiver the sender holds.
        result: ChannelId,
        /// The encoded arguments.
        arguments: Parcel,
    }
    /// Node: the spawner wants the task to end.
    31 Abort {
        /// The task.
        task: TaskId,
    }
    /// Worker: an attempt ended.
    32 Finished {
        /// The task.
        task: TaskId,
        /// Which attempt; outcomes of old attempts are dropped.
        attempt: u32,
        /// The encoded `Outcome`.
        outcome: Parcel,
        /// What the attempt took.
        usage: Usage,
    }
    /// Worker: how it is (the paper's poll request).
    33 Report {
        /// `req.currCPU`: CPU used since the last report, 1.0 being all of its threads.
        cpu: f32,
        /// `req.currMem`: resident memory as a part of its limit.
        memory: f32,
        /// `|req.currTasks|`: tasks that occupy a thread; those parked on a channel do not.
        running: u32,
        /// Tasks given to it that have not ended.
        held: u32,
        /// How many `Run` frames it had seen: the reading is older than any later one.
        runs_seen: u64,
    }
    /// Both: a piece of a large payload, all but the last of `CHUNK_BYTES_MAX`. See `chunks`.
    90 Chunk {
        /// The value's number. Values are numbered as they begin.
        stream: u64,
        /// How many bytes follow this piece.
        left: u32,
        /// The piece.
        bytes: Bytes,
    }
    /// Both: the frame whose payload has come in pieces, all of it. This is its place in the order.
    91 Whole {
        /// The value.
        stream: u64,
        /// The frame, its payload left empty.
        frame: Box<Frame>,
    }
    /// Both: a value will not be completed. What came of it is of no use.
    92 Scrap {
        /// The value.
        stream: u64,
    }
    /// Node: how is the whole? Answered by `Inspected`.
    34 Inspect {
        /// The sender's name for it.
        operation: OperationId,
    }
    /// Client: nothing moves in its process. Is that so everywhere?
    35 Suspect {}
    /// Node: all that uses channels in its process sleeps, and only the coordinator can wake it.
    36 Asleep {
        /// The answered `Probe`.
        round: u64,
        /// Who sleeps and where, a line each.
        report: String,
    }
    /// Node: something in its process is awake, or may be.
    37 Awake {
        /// The answered `Probe`.
        round: u64,
    }
    /// Coordinator: does everything in this process sleep? Answered by `Asleep` or `Awake`.
    44 Probe {
        /// The coordinator's name for the question.
        round: u64,
    }
    /// Coordinator: everything everywhere sleeps, and nothing will ever wake it.
    45 Deadlock {
        /// Who sleeps and where, a line each.
        report: String,
    }
    /// Coordinator: run this task.
    40 Run {
        /// The task.
        task: TaskId,
        /// Which attempt this is, from 1.
        attempt: u32,
        /// The function.
        name: String,
        /// Hash of its argument and result types as written.
        signature: u64,
        /// Longest run in milliseconds; 0 is none.
        timeout_ms: u64,
        /// The encoded arguments.
        arguments: Parcel,
    }
    /// Coordinator: stop this task at its next await.
    41 Cancel {
        /// The task.
        task: TaskId,
    }
    /// Coordinator: no more tasks will come; say goodbye when none is left.
    42 Shutdown {}
    /// Coordinator: how the whole is.
    43 Inspected {
        /// The question.
        operation: OperationId,
        /// The answer.
        stats: Stats,
    }
}
