// node rp2040js.mjs PACKAGE IMAGE: runs a flash image of an RP2040 in rp2040js, an emulator that shares nothing with the others.
// Standard input and output are UART0. Each instruction takes one cycle of the 125 MHz clock, so the firmware counts
// instructions. The package brings no boot ROM: the image's second stage runs first, in place.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [packageFolder, image] = process.argv.slice(2);
const { RP2040 } = createRequire(import.meta.url)(packageFolder);

const FLASH = 0x10000000;
const CYCLE_NS = 8;
const BATCH = 100_000; // instructions between two looks at standard input
const IDLE_BATCHES = 20; // without a byte, until the process begins to rest
const REST_MS = 1;
const FIFO_BYTES = 32;
const AIRCR = 0xd0c;
const SYSRESETREQ = 4;
const [CFSR, BFAR] = [0xd28, 0xd38];

const chip = new RP2040();
const uart = chip.uart[0];
const input = [];
let output = [];
let idle = 0;
let resetAsked = false;

const say = (kind) => (name, text) => process.stderr.write(`${kind} ${name}: ${text}\n`);
chip.logger = { debug() {}, info() {}, warn: say('warning'), error: say('error') };

function reset() {
  resetAsked = false;
  chip.core.VTOR = FLASH;
  chip.core.enabledInterrupts = 0;
  chip.core.pendingInterrupts = 0;
  chip.core.IPSR = 0;
  chip.core.PM = false;
  chip.core.waiting = false;
  chip.core.PC = FLASH;
}

// The package leaves this request alone, and reads all ones from registers that this core lacks: there a chip reads 0.
const writePpb = chip.ppb.writeUint32.bind(chip.ppb);
chip.ppb.writeUint32 = (offset, value) => {
  if (offset === AIRCR) resetAsked ||= (value & SYSRESETREQ) !== 0;
  else writePpb(offset, value);
};

const readPpb = chip.ppb.readUint32.bind(chip.ppb);
chip.ppb.readUint32 = (offset) => (offset >= CFSR && offset <= BFAR ? 0 : readPpb(offset));
uart.onByte = (byte) => output.push(byte);

function feed() {
  while (input.length && uart.rxFIFO.itemCount < FIFO_BYTES - 1) {
    uart.feedByte(input.shift());
  }
}

function turn() {
  const waiting = input.length;
  for (let i = 0; i < BATCH; i++) {
    chip.core.executeInstruction();
    chip.clock.tick(CYCLE_NS);
    if (resetAsked) reset();
    if ((i & 255) === 0 && input.length) feed();
  }
  idle = waiting || output.length ? 0 : idle + 1;
  if (output.length) {
    process.stdout.write(Buffer.from(output));
    output = [];
  }
  if (idle > IDLE_BATCHES) setTimeout(turn, REST_MS);
  else setImmediate(turn);
}

chip.flash.set(readFileSync(image));
process.stdin.on('data', (bytes) => {
  for (const byte of bytes) input.push(byte);
  idle = 0;
});
process.stdin.on('end', () => process.exit(0));
reset();
turn();
