/*
 * The native side of node-tuntap: one TUN descriptor with virtio-net headers, watched by the event loop, read
 * and written in batches of up to 64 packets, one JavaScript call a batch. Plain C on Node-API 8, so that one
 * build serves Node 20, 22 and 24. It knows nothing of IP: what a packet means is the caller's business, and
 * so are addresses, routes and the state of the interface.
 *
 * Life of a device: open() makes the descriptor and the poll handle; close(), an error or the end of the
 * environment closes both; the memory goes when the loop has closed the poll handle and the JavaScript handle
 * has been collected, whichever is later.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <node_api.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

/* These match packet-batch.ts. */
enum {
  VNET_HEADER_OCTETS = 10,
  MAX_PACKET_OCTETS = 65535,
  MAX_FRAME_OCTETS = VNET_HEADER_OCTETS + MAX_PACKET_OCTETS,
  MAX_BATCH_PACKETS = 64,
  MAX_BATCH_PARTS = 1023,
  PACKET_WORDS = 4,
  PART_WORDS = 3,
};

/* After this many batches (256 packets, about a millisecond of work for the stack) other handles and timers
 * of the loop get their turn; the poll is level-triggered, so what is left comes at once afterwards. */
enum { MAX_BATCHES_PER_WAKE = 4 };

/* Indices into the counters; the order is that of COUNTERS in tun-device.ts. */
enum {
  WAKE_UPS,
  BATCHES_IN,
  PACKETS_IN,
  OCTETS_IN,
  RUNTS_IN,
  BATCHES_OUT,
  PACKETS_OUT,
  OCTETS_OUT,
  DROPPED_FULL,
  DROPPED_NO_MEMORY,
  DROPPED_DOWN,
  DROPPED_CLOSED,
  DROPPED_REJECTED,
  DROPPED_INVALID,
  COUNTERS,
};

/* The first word of what an external points to, so that a handle of the other sort is refused. */
enum kind { KIND_DEVICE = 0x67796465, KIND_BATCH = 0x67796261 };

typedef struct {
  enum kind kind;
  int fd; /* -1 once closed */
  int owners; /* the JavaScript handle and the poll handle */
  uv_poll_t poll;
  napi_env env;
  napi_async_cleanup_hook_handle cleanup;
  napi_async_context context;
  napi_ref on_batch, on_error, arena_ref, packets_ref, counters_ref;
  uint8_t *arena;
  size_t arena_octets;
  int32_t *packets;
  double *counters;
} device_t;

typedef struct {
  enum kind kind;
  napi_ref arena_ref, packets_ref, parts_ref;
  const uint8_t *arena;
  size_t arena_octets;
  const int32_t *packets;
  const int32_t *parts;
} batch_t;

/* ---- opening the descriptor ---------------------------------------------------------------------------- */

/* Opens /dev/net/tun, which binds the descriptor to the network namespace that the thread is in at this
 * moment; only this one call happens in the other namespace. Returns a descriptor or -errno. */
static int open_in_namespace(const char *namespace, const char **step) {
  int home = -1;
  if (namespace[0] != '\0') {
    *step = "setns";
    int target = open(namespace, O_RDONLY | O_CLOEXEC);
    if (target < 0) return -errno;
    home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int failure = home < 0 || setns(target, CLONE_NEWNET) != 0 ? errno : 0;
    close(target);
    if (failure != 0) {
      if (home >= 0) close(home);
      return -failure;
    }
  }
  *step = "open";
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  int result = fd < 0 ? -errno : fd;
  if (home >= 0) {
    /* A process that went on in a namespace it does not know of would do harm there. */
    if (setns(home, CLONE_NEWNET) != 0)
      napi_fatal_error("node-tuntap", NAPI_AUTO_LENGTH, "cannot return to the own network namespace",
                       NAPI_AUTO_LENGTH);
    close(home);
  }
  return result;
}

/* Makes the descriptor the queue of device `name`. A persistent device keeps the offload flags of who had it
 * before, so all of them are set at every open. Returns 0 or -errno. */
static int attach(int fd, const char *name, const char **step) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1)); /* the rest is zero */
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  *step = "TUNSETIFF";
  if (ioctl(fd, TUNSETIFF, &request) != 0) return -errno;
  int header_octets = VNET_HEADER_OCTETS;
  *step = "TUNSETVNETHDRSZ";
  if (ioctl(fd, TUNSETVNETHDRSZ, &header_octets) != 0) return -errno;
  int little_endian = 1;
  *step = "TUNSETVNETLE";
  if (ioctl(fd, TUNSETVNETLE, &little_endian) != 0) return -errno;
  unsigned long offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  *step = "TUNSETOFFLOAD";
  if (ioctl(fd, TUNSETOFFLOAD, offloads) != 0) return -errno;
  return 0;
}

/* ---- closing ------------------------------------------------------------------------------------------- */

static void drop_owner(device_t *device) {
  if (--device->owners == 0) free(device);
}

static void delete_references(device_t *device) {
  napi_ref *refs[] = {&device->on_batch, &device->on_error, &device->arena_ref, &device->packets_ref,
                      &device->counters_ref};
  for (size_t i = 0; i < sizeof refs / sizeof refs[0]; i++) {
    if (*refs[i] != NULL) napi_delete_reference(device->env, *refs[i]);
    *refs[i] = NULL;
  }
  if (device->context != NULL) napi_async_destroy(device->env, device->context);
  device->context = NULL;
}

/* Runs from the loop, so never while a callback of this device is on the stack. */
static void on_poll_closed(uv_handle_t *handle) {
  device_t *device = handle->data;
  delete_references(device);
  if (device->cleanup != NULL) napi_remove_async_cleanup_hook(device->cleanup);
  device->cleanup = NULL;
  drop_owner(device);
}

static void close_device(device_t *device) {
  if (device->fd < 0) return;
  int fd = device->fd;
  device->fd = -1;
  /* uv_close takes the descriptor out of the poll set at once; it must still be open then. */
  uv_close((uv_handle_t *)&device->poll, on_poll_closed);
  close(fd);
}

/* The environment ends (of a worker or the process); the loop still runs until on_poll_closed. */
static void on_environment_end(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  close_device(data);
}

static void finalize_device(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  /* A device that is still open stays open, as a socket does: it goes on receiving. */
  drop_owner(data);
}

/* ---- receiving ----------------------------------------------------------------------------------------- */

static void call_back(device_t *device, napi_ref function_ref, size_t argc, const napi_value *argv) {
  napi_env env = device->env;
  napi_value function, receiver;
  if (napi_get_reference_value(env, function_ref, &function) != napi_ok || function == NULL) return;
  if (napi_get_global(env, &receiver) != napi_ok) return;
  if (napi_make_callback(env, device->context, receiver, function, argc, argv, NULL) == napi_ok) return;
  bool pending = false;
  napi_value error;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending &&
      napi_get_and_clear_last_exception(env, &error) == napi_ok)
    napi_fatal_exception(env, error);
}

static void deliver(device_t *device, int32_t count, size_t used) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(device->env, &scope) != napi_ok) return;
  napi_value argv[2];
  if (napi_create_int32(device->env, count, &argv[0]) == napi_ok &&
      napi_create_int32(device->env, (int32_t)used, &argv[1]) == napi_ok)
    call_back(device, device->on_batch, 2, argv);
  napi_close_handle_scope(device->env, scope);
}

static void fail(device_t *device, int error) {
  uv_poll_stop(&device->poll);
  napi_handle_scope scope;
  if (napi_open_handle_scope(device->env, &scope) != napi_ok) return;
  napi_value argv[2];
  if (napi_create_int32(device->env, error, &argv[0]) == napi_ok &&
      napi_create_string_utf8(device->env, "read", NAPI_AUTO_LENGTH, &argv[1]) == napi_ok)
    call_back(device, device->on_error, 2, argv);
  napi_close_handle_scope(device->env, scope);
  close_device(device);
}

/* Reads up to a batch of packets and hands it over. Returns 0 when the batch came full, or the errno that
 * ended it: EAGAIN when the queue is empty. */
static int receive_batch(device_t *device) {
  int32_t count = 0;
  size_t used = 0;
  int end = 0;
  double octets = 0;
  while (count < MAX_BATCH_PACKETS && device->arena_octets - used >= MAX_FRAME_OCTETS) {
    ssize_t length = read(device->fd, device->arena + used, MAX_FRAME_OCTETS);
    if (length < 0) {
      if (errno == EINTR) continue;
      end = errno;
      break;
    }
    if (length <= VNET_HEADER_OCTETS) {
      /* Not something that the kernel does; the end of a file would otherwise be read for ever. */
      device->counters[RUNTS_IN]++;
      end = EAGAIN;
      break;
    }
    device->packets[count * PACKET_WORDS] = (int32_t)used;
    device->packets[count * PACKET_WORDS + 1] = (int32_t)length;
    device->packets[count * PACKET_WORDS + 2] = 0;
    device->packets[count * PACKET_WORDS + 3] = 0;
    octets += (double)(length - VNET_HEADER_OCTETS);
    count++;
    used = (used + (size_t)length + 7) & ~(size_t)7;
    if (used > device->arena_octets) used = device->arena_octets;
  }
  if (count > 0) {
    device->counters[BATCHES_IN]++;
    device->counters[PACKETS_IN] += count;
    device->counters[OCTETS_IN] += octets;
    deliver(device, count, used);
  }
  return end;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)events;
  device_t *device = poll->data;
  device->counters[WAKE_UPS]++;
  for (int batch = 0; batch < MAX_BATCHES_PER_WAKE; batch++) {
    int end = receive_batch(device);
    if (device->fd < 0) return; /* closed inside the callback */
    /* libuv reports a deleted device as a bare poll error and stops watching: only read() knows why. */
    if (end == EAGAIN && status < 0) end = -status;
    if (end == EAGAIN) return;
    if (end != 0) {
      fail(device, end);
      return;
    }
  }
  if (status < 0) fail(device, -status);
}

/* ---- sending ------------------------------------------------------------------------------------------- */

/* The buffers of the batch at hand, each looked up once: that costs several calls into V8. */
typedef struct {
  uint8_t *octets; /* NULL: not looked up yet */
  size_t length;
} buffer_t;

typedef struct {
  napi_env env;
  napi_value list;
  int32_t count;
  buffer_t buffers[MAX_BATCH_PARTS];
} source_t;

static const buffer_t *find_buffer(source_t *source, int32_t index) {
  static uint8_t nowhere;
  if (index < 0 || index >= source->count) return NULL;
  buffer_t *buffer = &source->buffers[index];
  if (buffer->octets != NULL) return buffer;
  napi_value value;
  napi_typedarray_type type;
  void *octets;
  if (napi_get_element(source->env, source->list, (uint32_t)index, &value) != napi_ok ||
      napi_get_typedarray_info(source->env, value, &type, &buffer->length, &octets, NULL, NULL) != napi_ok ||
      type != napi_uint8_array)
    return NULL;
  /* An empty array may have no address at all. */
  buffer->octets = octets != NULL ? octets : &nowhere;
  return buffer;
}

static bool inside(int32_t start, int32_t length, size_t limit) {
  return start >= 0 && length >= 0 && (size_t)start + (size_t)length <= limit;
}

/* Fills `pieces` for one packet and returns how many, or 0 where the tables point outside their buffers. */
static int gather(const batch_t *batch, int32_t packet, source_t *source, struct iovec *pieces) {
  const int32_t *entry = batch->packets + packet * PACKET_WORDS;
  int32_t offset = entry[0], head = entry[1], first = entry[2], parts = entry[3];
  if (!inside(offset, head, batch->arena_octets) || !inside(first, parts, MAX_BATCH_PARTS)) return 0;
  pieces[0].iov_base = (void *)(batch->arena + offset);
  pieces[0].iov_len = (size_t)head;
  for (int32_t i = 0; i < parts; i++) {
    const int32_t *part = batch->parts + (first + i) * PART_WORDS;
    const buffer_t *buffer = find_buffer(source, part[0]);
    if (buffer == NULL || !inside(part[1], part[2], buffer->length)) return 0;
    pieces[1 + i].iov_base = buffer->octets + part[1];
    pieces[1 + i].iov_len = (size_t)part[2];
  }
  return 1 + parts;
}

/* A packet of several small pieces is copied together: the kernel takes longer to walk a list than to copy this. */
enum { MAX_JOINED_OCTETS = 2048, MAX_JOINED_PIECES = 8 };

/* Returns how many octets that were; 0 where the packet is not small. */
static size_t join(const struct iovec *pieces, int count, uint8_t *octets) {
  size_t length = 0;
  for (int i = 0; i < count; i++) length += pieces[i].iov_len;
  if (length > MAX_JOINED_OCTETS) return 0;
  for (int i = 0; i < count; i++) {
    memcpy(octets, pieces[i].iov_base, pieces[i].iov_len);
    octets += pieces[i].iov_len;
  }
  return length;
}

static ssize_t write_pieces(int fd, const struct iovec *pieces, int count) {
  ssize_t length;
  uint8_t octets[MAX_JOINED_OCTETS];
  struct iovec whole = {octets, 0};
  if (count > 1 && count <= MAX_JOINED_PIECES && (whole.iov_len = join(pieces, count, octets)) > 0) {
    pieces = &whole;
    count = 1;
  }
  do
    length = count == 1 ? write(fd, pieces[0].iov_base, pieces[0].iov_len) : writev(fd, pieces, count);
  while (length < 0 && errno == EINTR);
  return length;
}

static int counter_of(int error) {
  switch (error) {
    case EAGAIN: return DROPPED_FULL;
    case ENOBUFS:
    case ENOMEM: return DROPPED_NO_MEMORY;
    case EIO: return DROPPED_DOWN; /* the interface is not up */
    case EBADFD: /* the device was deleted */
    case ENODEV: return DROPPED_CLOSED;
    default: return DROPPED_REJECTED; /* EINVAL: the kernel does not like this packet */
  }
}

/* Whether the next packet of the batch may still be taken after one was dropped for this reason. */
static bool may_continue(int counter) {
  return counter == DROPPED_NO_MEMORY || counter == DROPPED_REJECTED;
}

static int32_t send_batch(device_t *device, const batch_t *batch, int32_t count, source_t *source) {
  struct iovec pieces[1 + MAX_BATCH_PARTS];
  double *counters = device->counters;
  int32_t accepted = 0;
  double octets = 0;
  for (int32_t packet = 0; packet < count; packet++) {
    int piece_count = gather(batch, packet, source, pieces);
    if (piece_count == 0) {
      counters[DROPPED_INVALID]++;
      continue;
    }
    ssize_t length = write_pieces(device->fd, pieces, piece_count);
    if (length >= 0) {
      accepted++;
      octets += (double)(length - VNET_HEADER_OCTETS);
      continue;
    }
    int counter = counter_of(errno);
    if (may_continue(counter)) {
      counters[counter]++;
      continue;
    }
    counters[counter] += count - packet;
    break;
  }
  counters[BATCHES_OUT]++;
  counters[PACKETS_OUT] += accepted;
  counters[OCTETS_OUT] += octets;
  return accepted;
}

/* ---- what JavaScript calls ----------------------------------------------------------------------------- */

static napi_value throw_type(napi_env env, const char *message) {
  napi_throw_type_error(env, NULL, message);
  return NULL;
}

static void *get_handle(napi_env env, napi_value value, enum kind kind) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) != napi_ok || data == NULL) return NULL;
  return *(enum kind *)data == kind ? data : NULL;
}

static napi_value js_send(napi_env env, napi_callback_info info) {
  napi_value argv[5];
  size_t argc = 5;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc < 5)
    return throw_type(env, "send: five arguments");
  device_t *device = get_handle(env, argv[0], KIND_DEVICE);
  batch_t *batch = get_handle(env, argv[1], KIND_BATCH);
  int32_t count, buffer_count;
  if (device == NULL || batch == NULL || napi_get_value_int32(env, argv[2], &count) != napi_ok ||
      napi_get_value_int32(env, argv[4], &buffer_count) != napi_ok || count < 0 || count > MAX_BATCH_PACKETS ||
      buffer_count < 0)
    return throw_type(env, "send: device, batch, count, buffers, bufferCount");
  int32_t accepted = 0;
  if (device->fd >= 0) {
    source_t source;
    source.env = env;
    source.list = argv[3];
    source.count = buffer_count < MAX_BATCH_PARTS ? buffer_count : MAX_BATCH_PARTS;
    for (int32_t i = 0; i < source.count; i++) source.buffers[i].octets = NULL;
    accepted = send_batch(device, batch, count, &source);
  }
  napi_value result = NULL;
  napi_create_int32(env, accepted, &result);
  return result;
}

static device_t *get_device(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  size_t argc = 1;
  device_t *device = NULL;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok && argc == 1)
    device = get_handle(env, argv[0], KIND_DEVICE);
  if (device == NULL) throw_type(env, "a device is expected");
  return device;
}

static napi_value js_close(napi_env env, napi_callback_info info) {
  device_t *device = get_device(env, info);
  if (device != NULL) close_device(device);
  return NULL;
}

static napi_value js_ref(napi_env env, napi_callback_info info) {
  device_t *device = get_device(env, info);
  if (device != NULL && device->fd >= 0) uv_ref((uv_handle_t *)&device->poll);
  return NULL;
}

static napi_value js_unref(napi_env env, napi_callback_info info) {
  device_t *device = get_device(env, info);
  if (device != NULL && device->fd >= 0) uv_unref((uv_handle_t *)&device->poll);
  return NULL;
}

/* Keeps a typed array and its address. The address is stable: V8 does not move the octets of a typed array
 * that has an ArrayBuffer, and asking for the address gives it one. */
static bool keep_array(napi_env env, napi_value value, napi_typedarray_type wanted, size_t least,
                       napi_ref *ref, void **data, size_t *length) {
  bool is_array = false;
  napi_typedarray_type type;
  if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array) return false;
  if (napi_get_typedarray_info(env, value, &type, length, data, NULL, NULL) != napi_ok) return false;
  if (type != wanted || *length < least) return false;
  return napi_create_reference(env, value, 1, ref) == napi_ok;
}

static void finalize_batch(napi_env env, void *data, void *hint) {
  (void)hint;
  batch_t *batch = data;
  if (batch->arena_ref != NULL) napi_delete_reference(env, batch->arena_ref);
  if (batch->packets_ref != NULL) napi_delete_reference(env, batch->packets_ref);
  if (batch->parts_ref != NULL) napi_delete_reference(env, batch->parts_ref);
  free(batch);
}

static napi_value js_register_batch(napi_env env, napi_callback_info info) {
  napi_value argv[3], handle;
  size_t argc = 3, length;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc < 3)
    return throw_type(env, "registerBatch: three arguments");
  batch_t *batch = calloc(1, sizeof *batch);
  if (batch == NULL) return throw_type(env, "out of memory");
  batch->kind = KIND_BATCH;
  if (!keep_array(env, argv[0], napi_uint8_array, 0, &batch->arena_ref, (void **)&batch->arena,
                  &batch->arena_octets) ||
      !keep_array(env, argv[1], napi_int32_array, MAX_BATCH_PACKETS * PACKET_WORDS, &batch->packets_ref,
                  (void **)&batch->packets, &length) ||
      !keep_array(env, argv[2], napi_int32_array, MAX_BATCH_PARTS * PART_WORDS, &batch->parts_ref,
                  (void **)&batch->parts, &length) ||
      napi_create_external(env, batch, finalize_batch, NULL, &handle) != napi_ok) {
    finalize_batch(env, batch, NULL);
    return throw_type(env, "registerBatch: arena, packets, parts");
  }
  return handle;
}

static bool get_option(napi_env env, napi_value options, const char *key, napi_valuetype wanted,
                       napi_value *value) {
  napi_valuetype type;
  return napi_get_named_property(env, options, key, value) == napi_ok &&
         napi_typeof(env, *value, &type) == napi_ok && type == wanted;
}

static bool keep_option(napi_env env, napi_value options, const char *key, napi_typedarray_type wanted,
                        size_t least, napi_ref *ref, void **data, size_t *length) {
  napi_value value;
  return get_option(env, options, key, napi_object, &value) &&
         keep_array(env, value, wanted, least, ref, data, length);
}

static bool keep_function(napi_env env, napi_value options, const char *key, napi_ref *ref) {
  napi_value value;
  return get_option(env, options, key, napi_function, &value) &&
         napi_create_reference(env, value, 1, ref) == napi_ok;
}

static bool keep_options(device_t *device, napi_value options) {
  napi_env env = device->env;
  size_t length;
  napi_value name;
  return keep_option(env, options, "arena", napi_uint8_array, MAX_FRAME_OCTETS, &device->arena_ref,
                     (void **)&device->arena, &device->arena_octets) &&
         keep_option(env, options, "packets", napi_int32_array, MAX_BATCH_PACKETS * PACKET_WORDS,
                     &device->packets_ref, (void **)&device->packets, &length) &&
         keep_option(env, options, "counters", napi_float64_array, COUNTERS, &device->counters_ref,
                     (void **)&device->counters, &length) &&
         keep_function(env, options, "onBatch", &device->on_batch) &&
         keep_function(env, options, "onError", &device->on_error) &&
         napi_create_string_utf8(env, "TUN", NAPI_AUTO_LENGTH, &name) == napi_ok &&
         napi_async_init(env, NULL, name, &device->context) == napi_ok;
}

static void throw_errno(napi_env env, int error, const char *step) {
  napi_value message, value, step_value, exception;
  char text[160];
  snprintf(text, sizeof text, "%s: %s", step, strerror(error));
  if (napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) == napi_ok &&
      napi_create_error(env, NULL, message, &exception) == napi_ok &&
      napi_create_int32(env, error, &value) == napi_ok &&
      napi_set_named_property(env, exception, "errno", value) == napi_ok &&
      napi_create_string_utf8(env, step, NAPI_AUTO_LENGTH, &step_value) == napi_ok &&
      napi_set_named_property(env, exception, "syscall", step_value) == napi_ok)
    napi_throw(env, exception);
}

/* The last steps of open(): from uv_poll_init on, only the loop may free the device. Returns the handle, or
 * NULL with an exception pending. */
static napi_value start(device_t *device, int fd) {
  napi_env env = device->env;
  uv_loop_t *loop = NULL;
  int status = UV_EINVAL;
  if (napi_get_uv_event_loop(env, &loop) == napi_ok) status = uv_poll_init(loop, &device->poll, fd);
  if (status != 0) {
    close(fd);
    delete_references(device);
    drop_owner(device);
    throw_errno(env, -status, "uv_poll_init");
    return NULL;
  }
  device->fd = fd;
  device->poll.data = device;
  napi_value handle = NULL;
  if (napi_add_async_cleanup_hook(env, on_environment_end, device, &device->cleanup) == napi_ok) {
    device->owners++;
    if (napi_create_external(env, device, finalize_device, NULL, &handle) == napi_ok) {
      status = uv_poll_start(&device->poll, UV_READABLE, on_readable);
      if (status == 0) return handle;
    } else {
      device->owners--;
    }
  }
  close_device(device);
  throw_errno(env, status != 0 ? -status : ENOMEM, "uv_poll_start");
  return NULL;
}

static napi_value js_open(napi_env env, napi_callback_info info) {
  napi_value argv[2], namespace_value;
  size_t argc = 2, length;
  char name[IFNAMSIZ + 1], namespace[4096] = "";
  const char *step = "";
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc < 2 ||
      napi_get_value_string_utf8(env, argv[0], name, sizeof name, &length) != napi_ok || length >= IFNAMSIZ)
    return throw_type(env, "open: a name of at most 15 octets, and options");
  if (get_option(env, argv[1], "namespace", napi_string, &namespace_value) &&
      napi_get_value_string_utf8(env, namespace_value, namespace, sizeof namespace, &length) != napi_ok)
    return throw_type(env, "open: namespace");
  device_t *device = calloc(1, sizeof *device);
  if (device == NULL) return throw_type(env, "out of memory");
  device->kind = KIND_DEVICE;
  device->fd = -1;
  device->owners = 1;
  device->env = env;
  int fd = -1;
  if (!keep_options(device, argv[1])) {
    throw_type(env, "open: arena, packets, counters, onBatch, onError");
  } else if ((fd = open_in_namespace(namespace, &step)) < 0) {
    throw_errno(env, -fd, step);
  } else {
    int status = attach(fd, name, &step);
    if (status == 0) return start(device, fd);
    close(fd);
    throw_errno(env, -status, step);
  }
  delete_references(device);
  drop_owner(device);
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_property_descriptor properties[] = {
      {"open", NULL, js_open, NULL, NULL, NULL, napi_enumerable, NULL},
      {"registerBatch", NULL, js_register_batch, NULL, NULL, NULL, napi_enumerable, NULL},
      {"send", NULL, js_send, NULL, NULL, NULL, napi_enumerable, NULL},
      {"close", NULL, js_close, NULL, NULL, NULL, napi_enumerable, NULL},
      {"ref", NULL, js_ref, NULL, NULL, NULL, napi_enumerable, NULL},
      {"unref", NULL, js_unref, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  size_t count = sizeof properties / sizeof properties[0];
  return napi_define_properties(env, exports, count, properties) == napi_ok ? exports : NULL;
}
