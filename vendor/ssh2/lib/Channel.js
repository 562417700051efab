'use strict';

const {
  Duplex: DuplexStream,
  Readable: ReadableStream,
  Writable: WritableStream,
} = require('stream');

const {
  CHANNEL_EXTENDED_DATATYPE: { STDERR },
} = require('./protocol/constants.js');
const { bufferSlice } = require('./protocol/utils.js');

const PACKET_SIZE = 32 * 1024;
const MAX_WINDOW = 2 * 1024 * 1024;
const MAX_PACKET_SIZE = 255 * 1024; // Leaves room for what is around the data
const MIN_PACKET_SIZE = 1024;

// The window and the packet size to offer for each channel, as configured
function channelSizes(cfg) {
  const window = (Number.isInteger(cfg.windowSize)
                  && cfg.windowSize >= MIN_PACKET_SIZE
                  && cfg.windowSize <= 2 ** 31
                  ? cfg.windowSize
                  : MAX_WINDOW);
  const packet = (Number.isInteger(cfg.packetSize)
                  && cfg.packetSize >= MIN_PACKET_SIZE
                  && cfg.packetSize <= MAX_PACKET_SIZE
                  ? cfg.packetSize
                  : PACKET_SIZE);
  return [window, packet];
}

class ClientStderr extends ReadableStream {
  constructor(channel, streamOpts) {
    super(streamOpts);

    this._channel = channel;
  }
  _read(n) {
    if (this._channel._waitChanDrain) {
      this._channel._waitChanDrain = false;
      const { incoming, _windowThreshold } = this._channel;
      if (incoming.window <= _windowThreshold)
        windowAdjust(this._channel);
    }
  }
}

class ServerStderr extends WritableStream {
  constructor(channel) {
    super({ highWaterMark: channel._client._windowSize });

    this._channel = channel;
  }

  _write(data, encoding, cb) {
    const channel = this._channel;
    const protocol = channel._client._protocol;
    const outgoing = channel.outgoing;
    const packetSize = outgoing.packetSize;
    const id = outgoing.id;
    let window = outgoing.window;
    const len = data.length;
    let p = 0;

    if (outgoing.state !== 'open') {
      cb(); // it goes nowhere any more, and nobody is to wait for it
      return;
    }

    if (!mayWrite(channel._client)) {
      channel._client._writers.push(() => this._write(data, encoding, cb));
      return;
    }

    while (len - p > 0 && window > 0) {
      let sliceLen = len - p;
      if (sliceLen > window)
        sliceLen = window;
      if (sliceLen > packetSize)
        sliceLen = packetSize;

      if (p === 0 && sliceLen === len)
        protocol.channelExtData(id, data, STDERR);
      else
        protocol.channelExtData(id, bufferSlice(data, p, p + sliceLen), STDERR);

      p += sliceLen;
      window -= sliceLen;
    }

    outgoing.window = window;

    if (len - p > 0) {
      if (window === 0)
        channel._waitWindow = true;
      if (p > 0)
        channel._chunkErr = bufferSlice(data, p, len);
      else
        channel._chunkErr = data;
      channel._chunkcbErr = cb;
      return;
    }

    finishWrite(channel, cb);
  }
}

class Channel extends DuplexStream {
  constructor(client, info, opts) {
    const streamOpts = {
      highWaterMark: client._windowSize,
      allowHalfOpen: (!opts || (opts && opts.allowHalfOpen !== false)),
      emitClose: false,
      // Both halves may have ended while a status is still to come
      autoDestroy: false,
    };
    super(streamOpts);
    this.allowHalfOpen = streamOpts.allowHalfOpen;

    const server = !!(opts && opts.server);

    this.server = server;
    this.type = info.type;
    this.subtype = undefined;

    /*
      incoming and outgoing contain these properties:
      {
        id: undefined,
        window: undefined,
        packetSize: undefined,
        state: 'closed'
      }
    */
    this.incoming = info.incoming;
    this.outgoing = info.outgoing;
    this._callbacks = [];

    this._client = client;
    this._windowThreshold = client._windowSize / 2;
    this._hasX11 = false;
    this._exit = {
      code: undefined,
      signal: undefined,
      dump: undefined,
      desc: undefined,
    };

    this.stdin = this.stdout = this;

    if (server)
      this.stderr = new ServerStderr(this);
    else
      this.stderr = new ClientStderr(this, streamOpts);

    // Outgoing data
    this._waitWindow = false; // SSH-level backpressure

    // Incoming data
    this._waitChanDrain = false; // Channel Readable side backpressure

    this._chunk = undefined;
    this._chunkcb = undefined;
    this._chunkErr = undefined;
    this._chunkcbErr = undefined;
    this._stderrFirst = false;

    // Asked for, and waiting for what was written before
    this._eofWanted = false;
    this._closeWanted = false;

    this.on('finish', onFinish)
        .on('prefinish', onFinish); // For node v0.11+

    this.on('end', onEnd).on('close', onEnd);
  }

  _read(n) {
    if (this._waitChanDrain) {
      this._waitChanDrain = false;
      if (this.incoming.window <= this._windowThreshold)
        windowAdjust(this);
    }
  }

  _write(data, encoding, cb) {
    const protocol = this._client._protocol;
    const outgoing = this.outgoing;
    const packetSize = outgoing.packetSize;
    const id = outgoing.id;
    let window = outgoing.window;
    const len = data.length;
    let p = 0;

    if (outgoing.state !== 'open') {
      cb(); // it goes nowhere any more, and nobody is to wait for it
      return;
    }

    if (!mayWrite(this._client)) {
      this._client._writers.push(() => this._write(data, encoding, cb));
      return;
    }

    while (len - p > 0 && window > 0) {
      let sliceLen = len - p;
      if (sliceLen > window)
        sliceLen = window;
      if (sliceLen > packetSize)
        sliceLen = packetSize;

      if (p === 0 && sliceLen === len)
        protocol.channelData(id, data);
      else
        protocol.channelData(id, bufferSlice(data, p, p + sliceLen));

      p += sliceLen;
      window -= sliceLen;
    }

    outgoing.window = window;

    if (len - p > 0) {
      if (window === 0)
        this._waitWindow = true;
      if (p > 0)
        this._chunk = bufferSlice(data, p, len);
      else
        this._chunk = data;
      this._chunkcb = cb;
      return;
    }

    finishWrite(this, cb);
  }

  // Half-closes the channel: EOF follows what was written so far, and the other
  // side may go on sending. Status, signals and close() are still possible.
  eof() {
    if (this.outgoing.state !== 'open')
      return;
    if (hasUnsent(this)) {
      this._eofWanted = true;
      return;
    }
    this._eofWanted = false;
    this.outgoing.state = 'eof';
    this._client._protocol.channelEOF(this.outgoing.id);
    if (this._closeWanted)
      this.close();
  }

  close() {
    this._eofWanted = this._closeWanted = false;
    if (this.outgoing.state === 'open' || this.outgoing.state === 'eof') {
      this.outgoing.state = 'closing';
      this._client._protocol.channelClose(this.outgoing.id);
    }
  }

  destroy() {
    this.end();
    this.close();
    return this;
  }

  // Session type-specific methods =============================================
  setWindow(rows, cols, height, width) {
    if (this.server)
      throw new Error('Client-only method called in server mode');

    if (this.type === 'session'
        && (this.subtype === 'shell' || this.subtype === 'exec')
        && canRequest(this)) {
      this._client._protocol.windowChange(this.outgoing.id,
                                          rows,
                                          cols,
                                          height,
                                          width);
    }
  }

  // RFC 4335. `cb`, where given, hears whether the server did so.
  break(length, cb) {
    if (this.server)
      throw new Error('Client-only method called in server mode');

    if (this.type !== 'session' || !canRequest(this)) {
      if (cb)
        process.nextTick(cb, new Error('Channel is not open'));
      return;
    }

    if (cb) {
      this._callbacks.push((hadErr) => {
        if (!hadErr)
          cb();
        else
          cb(hadErr !== true ? hadErr : new Error('Unable to send a break'));
      });
    }
    this._client._protocol.break(this.outgoing.id, length, !!cb);
  }

  signal(signalName) {
    if (this.server)
      throw new Error('Client-only method called in server mode');

    if (this.type === 'session' && canRequest(this)) {
      this._client._protocol.signal(this.outgoing.id, signalName);
    }
  }

  exit(statusOrSignal, coreDumped, msg) {
    if (!this.server)
      throw new Error('Server-only method called in client mode');

    if (this.type === 'session' && canRequest(this)) {
      if (typeof statusOrSignal === 'number') {
        this._client._protocol.exitStatus(this.outgoing.id, statusOrSignal);
      } else {
        this._client._protocol.exitSignal(this.outgoing.id,
                                          statusOrSignal,
                                          coreDumped,
                                          msg);
      }
    }
  }

}

// EOF ends the data of one side; requests may follow (RFC 4254, section 5.3)
function canRequest(channel) {
  const { state } = channel.outgoing;
  return (state === 'open' || state === 'eof');
}

function hasUnsent(channel) {
  return (channel.writableLength > 0
          || (channel.server && channel.stderr.writableLength > 0));
}

function finishWrite(channel, cb) {
  cb();
  if (channel._eofWanted)
    channel.eof();
}

function onFinish() {
  this.eof();
  if (this.server || !this.allowHalfOpen) {
    if (this._eofWanted)
      this._closeWanted = true; // stderr has to come first
    else
      this.close();
  }
  this.writable = false;
}

function onEnd() {
  this.readable = false;
}

// A peer may allow any number of bytes and then read none of them, or not answer
// to a rekey: data of channels waits in their streams, not in the socket
function mayWrite(client) {
  return (client._protocol._kexinit === undefined
          && client._sock.writableNeedDrain !== true);
}

// Lets those go on that wait for the connection, one chunk each
function resumeWriters(client) {
  if (!mayWrite(client))
    return;
  for (const write of client._writers.splice(0))
    write();
}

// Goes on with what waits for window space: stdout, stderr or both of them.
// Which of the two comes first alternates, so that neither starves the other.
function resumeOutput(self) {
  const { _chunk, _chunkcb, _chunkErr, _chunkcbErr } = self;
  // What is written next must not be taken for what waited before
  self._chunk = self._chunkcb = undefined;
  self._chunkErr = self._chunkcbErr = undefined;
  const stdout = () => {
    if (_chunk)
      self._write(_chunk, null, _chunkcb);
    else if (_chunkcb)
      _chunkcb.call(self); // SFTP, which keeps what waits elsewhere
  };
  const stderr = () => {
    if (_chunkErr)
      self.stderr._write(_chunkErr, null, _chunkcbErr);
  };
  self._stderrFirst = !self._stderrFirst;
  if (self._stderrFirst) {
    stderr();
    stdout();
  } else {
    stdout();
    stderr();
  }
}

function windowAdjust(self) {
  if (self.outgoing.state === 'closed')
    return;
  const amt = self._client._windowSize - self.incoming.window;
  if (amt <= 0)
    return;
  self.incoming.window += amt;
  self._client._protocol.channelWindowAdjust(self.outgoing.id, amt);
}

module.exports = {
  Channel,
  channelSizes,
  MAX_WINDOW,
  PACKET_SIZE,
  resumeOutput,
  resumeWriters,
  windowAdjust,
};
