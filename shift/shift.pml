/*
 * The shift protocol as a model for spin: one connection, three owners, and a network that loses, doubles and reorders
 * as it likes. What was sent once may be delivered any number of times, in any order, or never, so a message is a
 * bit in a set; a repeated COMMIT is its delivery again. Nothing here has a time: every time-out may happen at any moment.
 *
 * Names are those of `incoming.ts` and `outgoing.ts`. Each option of the two loops at the end is one step of one owner, whole or
 * not at all, as in the program, where freezing, COMMIT and release are one call.
 *
 * Checked in every state:
 *   at most one owner transmits;
 *   without a crash the connection lives somewhere, or its COMMIT is still answered for, or it has ended;
 *   a connection that has ended does not come back to life.
 *
 * Built with one of WITHOUT_STAGE, WITHOUT_EPOCHS, WITHOUT_REFUSALS, WITHOUT_LIFETIMES or WITHOUT_INCARNATIONS, a part of the
 * protocol is left out, and the checker must find what that part is for. By hand, what `model.test.ts` leaves out (three owners,
 * three epochs and a crash: 1,291,029 states, half a minute):
 *
 *     spin -a -DEPOCHS=3 shift/shift.pml && cc -O2 -DSAFETY -DNOREDUCE -o pan pan.c && ./pan -m10000
 */
#ifndef OWNERS
#define OWNERS 3
#endif
/* Epochs that the model goes through; 0 is the accepted connection's. Three let it go round and come back: A, B, C, A. */
#ifndef EPOCHS
#define EPOCHS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#define NONE 255

/* What is under way, or was, of each kind and epoch: a bit for each sender and receiver. It may be delivered again. */
short prepare[EPOCHS + 1];
short prepared[EPOCHS + 1];
short refusedPrepare[EPOCHS + 1];
short refusedCommit[EPOCHS + 1];
short abort_[EPOCHS + 1];
short commit[EPOCHS + 1];
short shifted[EPOCHS + 1];

#define BIT(from, to) (1 << ((from) * OWNERS + (to)))
#define SENT(kind, from, to, epoch) ((kind[epoch] & BIT(from, to)) != 0)
#define SEND(kind, from, to, epoch) kind[epoch] = kind[epoch] | BIT(from, to)
#define LOSE(kind, from, to, epoch) kind[epoch] = kind[epoch] & ~BIT(from, to)

#define IDLE 0
#define PREPARING 1
#define COMMITTED 2

typedef Owner {
  /* The connection is here, neither frozen nor released: it transmits. */
  bit owns;
  /* Connection.triedEpoch: the highest that an attempt of this owner has used. */
  byte tried;
  /* knownEpoch: adopted, refused or given away; NONE where nothing is known. */
  byte known;
  /* Forward.refusedEpoch. */
  byte refusedEpoch;
  /* OutgoingShifts: the attempt under way. */
  byte phase;
  byte epoch;
  byte to;
  /* The connection that was given away is kept for a refusal. */
  bit given;
  /* IncomingShifts: the dormant clone. */
  byte dormant;
  byte dormantFrom;
  /* confirmTo: who waits for SHIFTED, and of which epoch. */
  byte confirmTo;
  byte confirmEpoch;
}
Owner owner[OWNERS];

bit ended;
byte crashes;

/* Of one step, and no part of any state. */
hidden byte i, k, owners, answered;

#define ABOVE(epoch, known) ((known) == NONE || (epoch) > (known))

inline forgetAttempt(n) {
  owner[n].phase = IDLE;
  owner[n].epoch = 0;
  owner[n].to = NONE;
  owner[n].given = 0
}

inline forgetClone(n) {
  owner[n].dormant = NONE;
  owner[n].dormantFrom = NONE
}

/* `leaving`: whoever waits for SHIFTED is told that it waits for nothing more. */
inline leave(n) {
  if
  :: owner[n].confirmTo != NONE ->
    SEND(shifted, n, owner[n].confirmTo, owner[n].confirmEpoch);
    owner[n].confirmTo = NONE;
    owner[n].confirmEpoch = 0
  :: else
  fi
}

inline reset(n) {
  owner[n].owns = 0;
  owner[n].tried = 0;
  owner[n].known = NONE;
  owner[n].refusedEpoch = NONE;
  owner[n].confirmTo = NONE;
  owner[n].confirmEpoch = 0;
  forgetAttempt(n);
  forgetClone(n)
}

/* outgoing.#commit: the point of no return. */
inline letGo(n, m, e) {
  assert(owner[n].owns);
  owner[n].phase = COMMITTED;
  owner[n].epoch = e;
  owner[n].to = m;
  owner[n].owns = 0;
  owner[n].given = 1;
  owner[n].known = e;
  leave(n);
  SEND(commit, n, m, e)
}

inline prepareFor(n, m) {
  owner[n].tried++;
  owner[n].phase = PREPARING;
  owner[n].epoch = owner[n].tried;
  owner[n].to = m;
  SEND(prepare, n, m, owner[n].tried)
}

/* outgoing.start */
inline start(n, m) {
  owner[n].owns && owner[n].phase == IDLE && owner[n].tried < EPOCHS ->
  prepareFor(n, m)
}

/* outgoing.start with `unprepared`, and its commit: nothing was asked before. */
inline startUnprepared(n, m) {
  owner[n].owns && owner[n].phase == IDLE && owner[n].tried < EPOCHS ->
  owner[n].tried++;
  letGo(n, m, owner[n].tried)
}

/* incoming.#prepare, with the answer of `fetch`; `ok` is whether the target admits it. */
inline receivePrepare(m, n, e, ok) {
  SENT(prepare, n, m, e) ->
  if
  :: owner[m].dormant == e && owner[m].dormantFrom == n -> SEND(prepared, m, n, e)
  :: owner[m].dormant != NONE && owner[m].dormant >= e && !(owner[m].dormant == e && owner[m].dormantFrom == n)
  :: (owner[m].dormant == NONE || owner[m].dormant < e) && !ABOVE(e, owner[m].known)
  :: (owner[m].dormant == NONE || owner[m].dormant < e) && ABOVE(e, owner[m].known) ->
    forgetClone(m);
    if
    :: ok ->
      owner[m].dormant = e;
      owner[m].dormantFrom = n;
      /* The forward that packets steered here early follow is remembered below the epoch. */
      if
      :: owner[m].known == NONE -> owner[m].known = e - 1
      :: else
      fi;
      SEND(prepared, m, n, e)
    :: !ok ->
      SEND(refusedPrepare, m, n, e)
    fi
  fi
}

/* outgoing.#prepared */
inline receivePrepared(n, m, e) {
  SENT(prepared, m, n, e) && owner[n].phase == PREPARING && owner[n].epoch == e && owner[n].to == m ->
  letGo(n, m, e)
}

/* outgoing.#abort: a time-out, a link that broke, steering that failed. */
inline giveUp(n) {
  owner[n].phase == PREPARING ->
  SEND(abort_, n, owner[n].to, owner[n].epoch);
  forgetAttempt(n)
}

inline receiveAbort(m, n, e) {
  SENT(abort_, n, m, e) && owner[m].dormant == e && owner[m].dormantFrom == n -> forgetClone(m)
}

inline cloneExpires(m) {
  owner[m].dormant != NONE -> forgetClone(m)
}

/* incoming.#commit; `ok` is whether the target can restore the snapshot, and admits it where nothing was prepared. */
inline receiveCommit(m, n, e, ok) {
  SENT(commit, n, m, e) ->
  if
  :: !ABOVE(e, owner[m].known) ->
    if
    :: owner[m].refusedEpoch == e -> SEND(refusedCommit, m, n, e)
    :: else -> SEND(shifted, m, n, e)
    fi
  :: ABOVE(e, owner[m].known) ->
    if
    :: owner[m].dormant != NONE && owner[m].dormant <= e -> forgetClone(m)
    :: else
    fi;
    if
    :: ok ->
      assert(!ended);
      assert(!owner[m].owns);
      owner[m].owns = 1;
      owner[m].known = e;
      owner[m].refusedEpoch = NONE;
      owner[m].tried = e;
      owner[m].confirmTo = n;
      owner[m].confirmEpoch = e
    :: !ok ->
#ifndef WITHOUT_REFUSALS
      owner[m].known = e;
#endif
      owner[m].refusedEpoch = e;
      SEND(refusedCommit, m, n, e)
    fi
  fi
}

/* The client has echoed our id. */
inline confirm(m) {
  owner[m].owns && owner[m].confirmTo != NONE -> leave(m)
}

inline receiveShifted(n, m, e) {
  SENT(shifted, m, n, e) && owner[n].phase == COMMITTED && owner[n].epoch == e && owner[n].to == m ->
  forgetAttempt(n)
}

#define ANSWERS(n, m, e, phase_) (owner[n].phase == phase_ && owner[n].epoch == e && owner[n].to == m)

inline reclaim(n) {
  assert(owner[n].given);
  owner[n].owns = 1;
  forgetAttempt(n)
}

inline receiveRefused(n, m, e) {
  if
  :: SENT(refusedPrepare, m, n, e) && ANSWERS(n, m, e, PREPARING) -> forgetAttempt(n)
  :: SENT(refusedCommit, m, n, e) && ANSWERS(n, m, e, COMMITTED) -> reclaim(n)
  /* Without PREPARE, because of an object that is missing: asked again at once, in the same step. */
  :: SENT(refusedCommit, m, n, e) && ANSWERS(n, m, e, COMMITTED) && owner[n].tried < EPOCHS ->
    reclaim(n);
    prepareFor(n, m)
#ifdef WITHOUT_STAGE
  /* A refusal does not say of what. */
  :: SENT(refusedPrepare, m, n, e) && ANSWERS(n, m, e, COMMITTED) -> reclaim(n)
#endif
  fi
}

/* The connection ends at its owner, by its own protocol. */
inline end_(n) {
  owner[n].owns && !ended ->
  ended = 1;
  owner[n].owns = 0;
  leave(n);
  if
  :: owner[n].phase == PREPARING ->
    SEND(abort_, n, owner[n].to, owner[n].epoch);
    forgetAttempt(n)
  :: else
  fi;
#ifdef WITHOUT_EPOCHS
  /* What has ended is forgotten at once. */
  owner[n].known = NONE;
#endif
  skip
}

/*
 * The tombstone's time is over, and that of the epoch remembered behind it (`TOMBSTONE_MS`, `EPOCH_MS`): longer than a COMMIT is
 * repeated and a PREPARE is waited for, and than a message stays on its way. So nobody waits for an answer of that
 * epoch any more, and what was sent of it or before arrives no more.
 */
#define WAITS(i, n) (owner[i].phase != IDLE && owner[i].to == n && owner[i].epoch <= owner[n].known)
#if OWNERS > 2
#define WAITED_FOR(n) (WAITS(0, n) || WAITS(1, n) || WAITS(2, n))
#else
#define WAITED_FOR(n) (WAITS(0, n) || WAITS(1, n))
#endif

inline forget(n) {
  owner[n].known != NONE && !owner[n].owns && owner[n].phase != COMMITTED && !WAITED_FOR(n) ->
  i = 0;
  do
  :: i < OWNERS ->
    k = 0;
    do
    :: k <= EPOCHS && k <= owner[n].known ->
#ifndef WITHOUT_LIFETIMES
      LOSE(commit, i, n, k); LOSE(prepare, i, n, k); LOSE(abort_, i, n, k);
#endif
      k++
    :: else -> break
    od;
    i++
  :: else -> break
  od;
  owner[n].known = NONE;
  owner[n].refusedEpoch = NONE
}

/*
 * A process dies and another run of it begins: links are made anew, so nothing that was on its way to or from the first
 * run arrives. The others hear of it by the hello (`peerUp` with `restarted`).
 */
inline crash(n) {
  crashes < CRASHES ->
  crashes++;
  reset(n);
  i = 0;
  do
  :: i < OWNERS ->
    k = 0;
    do
    :: k <= EPOCHS ->
#ifndef WITHOUT_INCARNATIONS
      LOSE(commit, i, n, k); LOSE(commit, n, i, k);
      LOSE(prepare, i, n, k); LOSE(prepare, n, i, k);
      LOSE(prepared, i, n, k); LOSE(prepared, n, i, k);
      LOSE(refusedPrepare, i, n, k); LOSE(refusedPrepare, n, i, k);
      LOSE(refusedCommit, i, n, k); LOSE(refusedCommit, n, i, k);
      LOSE(abort_, i, n, k); LOSE(abort_, n, i, k);
      LOSE(shifted, i, n, k); LOSE(shifted, n, i, k);
#endif
      k++
    :: else -> break
    od;
#ifndef WITHOUT_INCARNATIONS
    if
    :: owner[i].to == n -> forgetAttempt(i)
    :: else
    fi;
    if
    :: owner[i].dormantFrom == n -> forgetClone(i)
    :: else
    fi;
    if
    :: owner[i].confirmTo == n -> owner[i].confirmTo = NONE; owner[i].confirmEpoch = 0
    :: else
    fi;
#endif
    i++
  :: else -> break
  od;
  skip
}

/* What every state is checked for, as soon as it is reached. */
inline check() {
  d_step {
    owners = 0;
    answered = 0;
    i = 0;
    do
    :: i < OWNERS ->
      owners = owners + owner[i].owns;
      answered = answered || (owner[i].phase == COMMITTED && owner[i].given);
      i++
    :: else -> break
    od;
    assert(owners <= 1);
    assert(owners == 1 || answered || ended || crashes > 0);
    assert(!(ended && owners > 0))
  }
}

/* All that can happen between a source, a target and an epoch. */
proctype Between(byte n; byte m; byte e) {
end:
  do
  :: atomic { receivePrepare(m, n, e, true); check() }
  :: atomic { receivePrepare(m, n, e, false); check() }
  :: atomic { receivePrepared(n, m, e); check() }
  :: atomic { receiveAbort(m, n, e); check() }
  :: atomic { receiveCommit(m, n, e, true); check() }
  :: atomic { receiveCommit(m, n, e, false); check() }
  :: atomic { receiveShifted(n, m, e); check() }
  :: atomic { receiveRefused(n, m, e); check() }
  od
}

/* What an owner decides by itself. */
proctype Alone(byte n) {
  byte m;
end:
  do
  :: atomic { start(n, (n + 1) % OWNERS); check() }
  :: atomic { startUnprepared(n, (n + 1) % OWNERS); check() }
#if OWNERS > 2
  :: atomic { start(n, (n + 2) % OWNERS); check() }
  :: atomic { startUnprepared(n, (n + 2) % OWNERS); check() }
#endif
  :: atomic { giveUp(n); check() }
  :: atomic { cloneExpires(n); check() }
  :: atomic { confirm(n); check() }
  :: atomic { end_(n); check() }
  :: atomic { crash(n); check() }
  :: atomic { forget(n); check() }
  od
}

init {
  byte n, m, e;
  atomic {
    n = 0;
    do
    :: n < OWNERS -> reset(n); run Alone(n); n++
    :: else -> break
    od;
    owner[0].owns = 1;
    owner[0].known = 0;
    n = 0;
    do
    :: n < OWNERS ->
      m = 0;
      do
      :: m < OWNERS ->
        e = 1;
        do
        :: e <= EPOCHS && n != m -> run Between(n, m, e); e++
        :: else -> break
        od;
        m++
      :: else -> break
      od;
      n++
    :: else -> break
    od;
    n = 0; m = 0; e = 0
  }
}
