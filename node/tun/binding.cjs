// Loads the addon when the first device is opened, not before: everything that only names a device (tests,
// the simulator, the command line's help) runs without a compiled addon.
'use strict'

let binding

exports.load = function load() {
  binding ??= require('./build/Release/tuntap.node')
  return binding
}
