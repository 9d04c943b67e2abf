// archiver fed by the AWS SDK, as s3-zip does it: one object after the other, stored, the next opened when the last is in.
import { once } from "node:events";
import http from "node:http";
import { GetObjectCommand, S3Client, paginateListObjectsV2 } from "@aws-sdk/client-s3";
import { ZipArchive } from "archiver";

const s3 = new S3Client({ forcePathStyle: true });

async function append(archive, bucket, prefix) {
  for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: bucket, Prefix: prefix })) {
    for (const { Key, LastModified } of page.Contents ?? []) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
      archive.append(Body, { name: Key.slice(Key.lastIndexOf("/") + 1), date: LastModified });
      await once(archive, "entry");
    }
  }
  await archive.finalize();
}

http
  .createServer((request, response) => {
    const [, bucket, ...rest] = request.url.split("/");
    const archive = new ZipArchive({ store: true });
    archive.on("error", () => response.destroy());
    response.on("close", () => archive.abort());
    response.writeHead(200, { "Content-Type": "application/zip" });
    archive.pipe(response);
    append(archive, bucket, rest.join("/")).catch(() => response.destroy());
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
