const p = './node_modules/@0gfoundation/0g-ts-sdk/lib.commonjs';
const enc = require(p + '/common/encryption.js');
const sdk = require(p + '/index.js');
const { secp256k1 } = require('@noble/curves/secp256k1');
const hex = (b) => Buffer.from(b).toString('hex');
const bytes = (n, m, a) => Uint8Array.from({ length: n }, (_, i) => (i * m + a) % 251);
const plain = (n) => bytes(n, 7, 3);
(async () => {
  const out = { how: "cipher.cjs with @0gfoundation/0g-ts-sdk 1.2.8 and ethers 6.13.1: plain text byte i is (7 i + 3) mod 251; `stored` is what EncryptedFile gives to read, `fragments` its split, each decrypted again by decryptFragmentData; `keystream` is cryptAt over zeros", keystream: [], v1: [], v2: [] };
  for (const [nonce, at, len] of [[bytes(16, 5, 1), 0, 40], [bytes(16, 5, 1), 7, 40], [bytes(16, 5, 1), 2 ** 40 + 13, 33], [new Uint8Array(16).fill(255), 0, 48], [new Uint8Array(16).fill(255), 2 ** 36 + 1, 20]]) {
    const key = bytes(32, 11, 2), data = new Uint8Array(len);
    enc.cryptAt(key, nonce, at, data);
    out.keystream.push({ key: hex(key), nonce: hex(nonce), at, bytes: hex(data) });
  }
  const file = async (header, key, len, fragment) => {
    const sealed = new (require(p + '/file/EncryptedFile.js').EncryptedFile)(new sdk.MemData(plain(len)), key, header);
    const { buffer } = await sealed.readFromFile(0, sealed.size());
    const [tree, err] = await sealed.merkleTree();
    if (err) throw err;
    const fragments = [];
    let at = 0, again = [];
    for (const [i, f] of sealed.split(fragment).entries()) {
      const got = (await f.readFromFile(0, f.size())).buffer;
      fragments.push(hex(got));
      const part = enc.decryptFragmentData(key, header, got, i === 0, at);
      at = part.newOffset; again.push(...part.plaintext);
    }
    if (hex(again) !== hex(plain(len))) throw new Error('fragments');
    if (hex(enc.decryptFile(key, buffer)) !== hex(plain(len))) throw new Error('whole');
    return { len, header: hex(header.toBytes()), key: hex(key), stored: hex(buffer), root: tree.rootHash(), fragment, fragments };
  };
  for (const len of [1, 16, 600]) {
    const key = bytes(32, 3, len), header = new enc.EncryptionHeader(1, bytes(16, 9, len));
    out.v1.push(await file(header, key, len, 256));
  }
  for (const [len, mul] of [[1, 13], [600, 17]]) {
    const recipient = bytes(32, mul, 1), ephemeral = bytes(32, mul, 99);
    const pub = secp256k1.getPublicKey(ephemeral, true), to = secp256k1.getPublicKey(recipient, true);
    const key = enc.deriveEciesDecryptKey(recipient, pub);
    if (hex(key) !== hex(enc.deriveEciesDecryptKey(ephemeral, to))) throw new Error('ecdh');
    const header = new enc.EncryptionHeader(2, bytes(16, 9, len), pub);
    out.v2.push({ recipient: hex(recipient), recipient_public: hex(to), recipient_public_long: hex(secp256k1.getPublicKey(recipient, false)), ephemeral: hex(ephemeral), ...await file(header, key, len, 256) });
  }
  const recipient = bytes(32, 19, 1);
  const { header, key } = enc.newEciesHeader(secp256k1.getPublicKey(recipient, true));
  if (hex(enc.resolveDecryptionKey(undefined, recipient, header)) !== hex(key)) throw new Error('resolve');
  out.v2.push({ recipient: hex(recipient), ...await file(header, key, 100, 256) });
  console.log(JSON.stringify(out, null, 1));
})();
