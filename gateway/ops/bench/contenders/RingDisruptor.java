/*
 * RingDisruptor.java — the LMAX Disruptor beside our ring: one 48-byte payload there and back between two threads of this
 * JVM, and bursts. Driven by ring_disruptor.py, which pins the threads by their names.
 *
 * One line per run comes in: "hop COUNT NANOSECONDS" or "burst COUNT NANOSECONDS"; one line goes out: records that arrived
 * (-1 - that when a payload was wrong), then p50, p99 and p99.9 of a hop, or the producer's CPU time and the wall time.
 */
import com.lmax.disruptor.*;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.SynchronousQueue;

public final class RingDisruptor {
    static final int DEPTH = 1024, BATCH = 16, LOOKS = 4096;

    static final class Event { // with its header 64 bytes, on a line of its own by -XX:ObjectAlignmentInBytes
        long a, b, c, d, e, f;
    }

    /** BusySpinWaitStrategy, which also looks at the deadline every LOOKS spins, as every contender does. */
    static final class Bounded implements WaitStrategy {
        volatile long deadline;

        @Override
        public long waitFor(long sequence, Sequence cursor, Sequence dependent, SequenceBarrier barrier)
            throws AlertException {
            long available;
            int looks = 0;
            while ((available = dependent.get()) < sequence) {
                barrier.checkAlert();
                Thread.onSpinWait();
                if (++looks % LOOKS == 0 && System.nanoTime() - deadline > 0)
                    throw AlertException.INSTANCE;
            }
            return available;
        }

        @Override
        public void signalAllWhenBlocking() {}
    }

    /** One direction. */
    static final class Way {
        final Bounded waiting = new Bounded();
        final RingBuffer<Event> ring = RingBuffer.createSingleProducer(Event::new, DEPTH, waiting);
        final SequenceBarrier barrier = ring.newBarrier();
        final Sequence consumed = new Sequence();

        Way() {
            ring.addGatingSequences(consumed);
        }

        void send(long sequence, long round) {
            Event event = ring.get(sequence);
            event.a = round;
            event.b = round + 1;
            event.c = round + 2;
            event.d = round + 3;
            event.e = round + 4;
            event.f = round + 5;
        }

        long wrong(long sequence, long round) {
            Event event = ring.get(sequence);
            return (event.a ^ round) | (event.b ^ (round + 1)) | (event.c ^ (round + 2)) | (event.d ^ (round + 3))
                | (event.e ^ (round + 4)) | (event.f ^ (round + 5));
        }
    }

    record Job(boolean hop, int count, long deadline, Way there, Way back, long[] samples) {}

    record Done(long count, long begin, long end, long cpu) {}

    static long hop(Job job, int side) {
        Way out = side == 0 ? job.there : job.back, in = side == 0 ? job.back : job.there;
        long wrong = 0;
        int round = 0;
        try {
            for (; round < job.count; round++) {
                long begin = System.nanoTime();
                if (side == 0)
                    publish(out, round);
                in.barrier.waitFor(round);
                wrong |= in.wrong(round, round);
                if (side == 1)
                    publish(out, round);
                in.consumed.set(round);
                if (side == 0)
                    job.samples[round] = System.nanoTime() - begin;
            }
        } catch (AlertException | InterruptedException | TimeoutException late) {
            // the deadline: what was done is said
        }
        return wrong != 0 ? -1 - round : round;
    }

    static void publish(Way way, long round) {
        long sequence = way.ring.next();
        way.send(sequence, round);
        way.ring.publish(sequence);
    }

    static long sendAll(Job job) {
        RingBuffer<Event> ring = job.there.ring;
        long done = 0;
        int looks = 0;
        while (done < job.count) {
            int size = (int) Math.min(BATCH, job.count - done);
            if (!ring.hasAvailableCapacity(size)) { // next() would park the thread
                Thread.onSpinWait();
                if (++looks % LOOKS == 0 && System.nanoTime() - job.deadline > 0)
                    break;
                continue;
            }
            long high = ring.next(size), low = high - size + 1;
            for (long sequence = low; sequence <= high; sequence++)
                job.there.send(sequence, done++);
            ring.publish(low, high);
        }
        return done;
    }

    static long readAll(Job job) {
        Way way = job.there;
        long next = 0, wrong = 0;
        try {
            while (next < job.count) {
                long available = way.barrier.waitFor(next);
                for (; next <= available; next++)
                    wrong |= way.wrong(next, next);
                way.consumed.set(available);
            }
        } catch (AlertException | InterruptedException | TimeoutException late) {
            // the deadline: what was done is said
        }
        return wrong != 0 ? -1 - next : next;
    }

    static Done work(Job job, int side) {
        var threads = ManagementFactory.getThreadMXBean();
        long cpu = threads.getCurrentThreadCpuTime(), begin = System.nanoTime();
        long count = job.hop ? hop(job, side) : side == 0 ? sendAll(job) : readAll(job);
        long end = System.nanoTime();
        return new Done(count, begin, end, threads.getCurrentThreadCpuTime() - cpu);
    }

    static final SynchronousQueue<Job> TO_0 = new SynchronousQueue<>(), TO_1 = new SynchronousQueue<>();
    static final SynchronousQueue<Done> FROM_0 = new SynchronousQueue<>(), FROM_1 = new SynchronousQueue<>();

    static final CountDownLatch STARTED = new CountDownLatch(2); // both threads have their names

    static void serve(int side) {
        try {
            STARTED.countDown();
            for (;;) {
                Job job = side == 0 ? TO_0.take() : TO_1.take();
                if (side == 0)
                    TO_1.put(job); // side 0 wakes side 1: whoever woke both could be starved between the two
                Done done = work(job, side);
                (side == 0 ? FROM_0 : FROM_1).put(done);
            }
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }

    static String run(boolean hop, int count, long nanoseconds, long clockCost) throws InterruptedException {
        long[] samples = new long[hop ? count : 0];
        long deadline = System.nanoTime() + nanoseconds;
        Job job = new Job(hop, count, deadline, new Way(), new Way(), samples);
        job.there.waiting.deadline = deadline;
        job.back.waiting.deadline = deadline;
        TO_0.put(job);
        Done other = FROM_1.take(), own = FROM_0.take();
        long count0 = own.count, count1 = other.count, done = Math.min(count0, count1);
        if (!hop)
            return done + " " + own.cpu + " " + (other.end - own.begin);
        Arrays.sort(samples);
        return done + " " + percentile(samples, 50, clockCost) + " " + percentile(samples, 99, clockCost) + " "
            + percentile(samples, 99.9, clockCost);
    }

    /** Half a round trip, without what one reading of the clock costs. */
    static double percentile(long[] sorted, double share, long clockCost) {
        return (sorted[(int) Math.round((sorted.length - 1) * share / 100)] - clockCost) / 2.0;
    }

    static long clockCost() {
        long[] costs = new long[100_001];
        for (int index = 0; index < costs.length; index++) {
            long begin = System.nanoTime();
            costs[index] = System.nanoTime() - begin;
        }
        Arrays.sort(costs);
        return costs[costs.length / 2];
    }

    static void daemon(int side) {
        Thread thread = new Thread(() -> serve(side), "bench-side-" + side);
        thread.setDaemon(true);
        thread.start();
    }

    public static void main(String[] arguments) throws Exception {
        daemon(0);
        daemon(1);
        STARTED.await();
        long clockCost = clockCost();
        System.out.println("ready");
        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null;) {
            String[] words = line.split(" ");
            System.out.println(run(words[0].equals("hop"), Integer.parseInt(words[1]), Long.parseLong(words[2]), clockCost));
        }
    }
}
