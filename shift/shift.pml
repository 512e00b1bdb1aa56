/*
 * The shift protocol as a model for spin: one connection, three owners, and a network that loses, doubles and reorders
 * as it likes. What was sent once may be delivered any number of times, in any order, or never, so a message is a
 * bit in a set; a repeated COMMIT is its delivery again. Nothing here has a time: every time-out may happen at any moment.
 *
 * Names are those of `incoming.ts` and `outgoing.ts`. Each option of the loop is one step of one owner, whole or not at all,
 * as in the program, where freezing, COMMIT and release are one call.
 *
 * Checked in every state:
 *   at most one owner transmits;
 *   without a crash the connection lives somewhere, or its COMMIT is still answered for, or it has ended;
 *   a connection that has ended does not come back to life.
 *
 * Built with one of WITHOUT_STAGE, WITHOUT_EPOCHS or WITHOUT_INCARNATIONS, a part of the protocol is left out, and the
 * checker must find what that part is for. By hand, with 3 owners and 3 epochs (201,688 states, half a minute):
 *
 *     spin -a -DEPOCHS=3 shift/shift.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m1000000
 */
#ifndef OWNERS
#define OWNERS 3
#endif
/* Epochs that the model goes through; 0 is the accepted connection's. */
#ifndef EPOCHS
#define EPOCHS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#define NONE 255
#define MESSAGES (OWNERS * OWNERS * (EPOCHS + 1))
#define AT(from, to, epoch) ((from) * OWNERS * (EPOCHS + 1) + (to) * (EPOCHS + 1) + (epoch))

/* What is under way, or was: it may be delivered again. */
bit prepare[MESSAGES];
bit prepared[MESSAGES];
bit refusedPrepare[MESSAGES];
bit refusedCommit[MESSAGES];
bit abort_[MESSAGES];
bit commit[MESSAGES];
bit shifted[MESSAGES];

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
    shifted[AT(n, owner[n].confirmTo, owner[n].confirmEpoch)] = 1;
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
  commit[AT(n, m, e)] = 1
}

/* outgoing.start */
inline start(n, m) {
  owner[n].owns && owner[n].phase == IDLE && owner[n].tried < EPOCHS && n != m ->
  owner[n].tried++;
  owner[n].phase = PREPARING;
  owner[n].epoch = owner[n].tried;
  owner[n].to = m;
  prepare[AT(n, m, owner[n].tried)] = 1
}

/* outgoing.start with `unprepared`, and its commit: nothing was asked before. */
inline startUnprepared(n, m) {
  owner[n].owns && owner[n].phase == IDLE && owner[n].tried < EPOCHS && n != m ->
  owner[n].tried++;
  letGo(n, m, owner[n].tried)
}

/* incoming.#prepare, with the answer of `fetch`; `ok` is whether the target admits it. */
inline receivePrepare(m, n, e, ok) {
  prepare[AT(n, m, e)] ->
  if
  :: owner[m].dormant == e && owner[m].dormantFrom == n -> prepared[AT(m, n, e)] = 1
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
      prepared[AT(m, n, e)] = 1
    :: !ok ->
      refusedPrepare[AT(m, n, e)] = 1
    fi
  fi
}

/* outgoing.#prepared */
inline receivePrepared(n, m, e) {
  prepared[AT(m, n, e)] && owner[n].phase == PREPARING && owner[n].epoch == e && owner[n].to == m ->
  letGo(n, m, e)
}

/* outgoing.#abort: a time-out, a link that broke, steering that failed. */
inline giveUp(n) {
  owner[n].phase == PREPARING ->
  abort_[AT(n, owner[n].to, owner[n].epoch)] = 1;
  forgetAttempt(n)
}

inline receiveAbort(m, n, e) {
  abort_[AT(n, m, e)] && owner[m].dormant == e && owner[m].dormantFrom == n -> forgetClone(m)
}

inline cloneExpires(m) {
  owner[m].dormant != NONE -> forgetClone(m)
}

/* incoming.#commit; `ok` is whether the target can restore the snapshot, and admits it where nothing was prepared. */
inline receiveCommit(m, n, e, ok) {
  commit[AT(n, m, e)] ->
  if
  :: !ABOVE(e, owner[m].known) ->
    if
    :: owner[m].refusedEpoch == e -> refusedCommit[AT(m, n, e)] = 1
    :: else -> shifted[AT(m, n, e)] = 1
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
      owner[m].tried = e;
      owner[m].confirmTo = n;
      owner[m].confirmEpoch = e
    :: !ok ->
      owner[m].known = e;
      owner[m].refusedEpoch = e;
      refusedCommit[AT(m, n, e)] = 1
    fi
  fi
}

/* The client has echoed our id. */
inline confirm(m) {
  owner[m].owns && owner[m].confirmTo != NONE -> leave(m)
}

inline receiveShifted(n, m, e) {
  shifted[AT(m, n, e)] && owner[n].phase == COMMITTED && owner[n].epoch == e && owner[n].to == m ->
  forgetAttempt(n)
}

#define ANSWERS(n, m, e, phase_) (owner[n].phase == phase_ && owner[n].epoch == e && owner[n].to == m)

inline receiveRefused(n, m, e) {
  if
  :: refusedPrepare[AT(m, n, e)] && ANSWERS(n, m, e, PREPARING) -> forgetAttempt(n)
  :: refusedCommit[AT(m, n, e)] && ANSWERS(n, m, e, COMMITTED) -> reclaim(n)
#ifdef WITHOUT_STAGE
  /* A refusal does not say of what. */
  :: refusedPrepare[AT(m, n, e)] && ANSWERS(n, m, e, COMMITTED) -> reclaim(n)
#endif
  fi
}

inline reclaim(n) {
  assert(owner[n].given);
  owner[n].owns = 1;
  forgetAttempt(n)
}

/* The connection ends at its owner, by its own protocol. */
inline end(n) {
  owner[n].owns && !ended ->
  ended = 1;
  owner[n].owns = 0;
  leave(n);
  if
  :: owner[n].phase == PREPARING ->
    abort_[AT(n, owner[n].to, owner[n].epoch)] = 1;
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
    e = 0;
    do
    :: e <= EPOCHS ->
#ifndef WITHOUT_INCARNATIONS
      commit[AT(i, n, e)] = 0; commit[AT(n, i, e)] = 0;
      prepare[AT(i, n, e)] = 0; prepare[AT(n, i, e)] = 0;
      prepared[AT(i, n, e)] = 0; prepared[AT(n, i, e)] = 0;
      refusedPrepare[AT(i, n, e)] = 0; refusedPrepare[AT(n, i, e)] = 0;
      refusedCommit[AT(i, n, e)] = 0; refusedCommit[AT(n, i, e)] = 0;
      abort_[AT(i, n, e)] = 0; abort_[AT(n, i, e)] = 0;
      shifted[AT(i, n, e)] = 0; shifted[AT(n, i, e)] = 0;
#endif
      e++
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
  i = 0;
  e = 0
}

inline check() {
  owners = 0;
  answered = 0;
  i = 0;
  do
  :: i < OWNERS ->
    owners = owners + owner[i].owns;
    if
    :: owner[i].phase == COMMITTED && owner[i].given -> answered = 1
    :: else
    fi;
    i++
  :: else -> break
  od;
  i = 0;
  assert(owners <= 1);
  assert(owners == 1 || answered || ended || crashes > 0);
  assert(!(ended && owners > 0));
  owners = 0;
  answered = 0
}

init {
  byte n, m, e, i, owners;
  bit answered;
  d_step {
    n = 0;
    do
    :: n < OWNERS -> reset(n); n++
    :: else -> break
    od;
    owner[0].owns = 1;
    owner[0].known = 0;
    n = 0
  }
  do
  :: atomic {
    select(n : 0 .. OWNERS - 1);
    select(m : 0 .. OWNERS - 1);
    select(e : 0 .. EPOCHS);
    if
    :: start(n, m)
    :: startUnprepared(n, m)
    :: receivePrepare(m, n, e, true)
    :: receivePrepare(m, n, e, false)
    :: receivePrepared(n, m, e)
    :: giveUp(n)
    :: receiveAbort(m, n, e)
    :: cloneExpires(m)
    :: receiveCommit(m, n, e, true)
    :: receiveCommit(m, n, e, false)
    :: confirm(m)
    :: receiveShifted(n, m, e)
    :: receiveRefused(n, m, e)
    :: end(n)
    :: crash(n)
    :: else
    fi;
    check();
    n = 0; m = 0; e = 0
  }
  od
}
