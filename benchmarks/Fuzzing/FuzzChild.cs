using System.Diagnostics;
using System.Globalization;

namespace TorchBridge.Benchmarks.Fuzzing;

/// <summary>The process that gives inputs to one entry point (door). The parent process reads its progress, and ends
/// it if it hangs or needs too much memory.</summary>
internal static class FuzzChild
{
    /// <summary>The option with which such a process is started.</summary>
    public const string Option = "--fuzz-door";

    private const int ReportMilliseconds = 100;
    private const int Variants = 8;

    /// <summary>Gives inputs to a door until the time is over or the last input was given.</summary>
    /// <param name="arguments">Door, seed, number of the first input, number after the last input, seconds, folder
    /// for failing inputs.</param>
    public static void Run(string[] arguments)
    {
        int Whole(int at) => int.Parse(arguments[at], CultureInfo.InvariantCulture);
        var (seed, last, seconds, folder) = (Whole(1), Whole(3), Whole(4), arguments[5]);
        var door = FuzzDoors.All[arguments[0]]();
        var current = Path.Combine(folder, $"{arguments[0]}.current");
        var found = new HashSet<string>(StringComparer.Ordinal);
        long accepted = 0,
            refused = 0,
            undocumented = 0;
        var reported = 0L;
        if (Refusal(door) is { } refusal)
        {
            undocumented++;
            Keep(door.Corpus[0], refusal, "corpus");
        }

        var started = Stopwatch.GetTimestamp();
        for (var number = Whole(2); number < last && Stopwatch.GetElapsedTime(started).TotalSeconds < seconds; number++)
        {
            if (Stopwatch.GetElapsedTime(reported).TotalMilliseconds > ReportMilliseconds)
            {
                Report(number);
                reported = Stopwatch.GetTimestamp();
            }

            // An input depends on its number alone, so it can be made again without the inputs before it.
            var random = new Random(unchecked((seed * 1_000_003) + number));
            var input = Mutator.Mutate(random, door.Corpus, door.IsText);
            Try(input, random, number.ToString(CultureInfo.InvariantCulture));
        }

        Report(last);

        void Try(byte[] input, Random random, string number)
        {
            File.WriteAllBytes(current, input);
            try
            {
                door.Open(input, random);
                accepted++;
            }
            catch (Exception error) when (door.IsDocumented(error))
            {
                refused++;
            }
            catch (Exception error)
            {
                undocumented++;
                if (found.Add(Place(error)))
                    Keep(input, error, number);
            }
        }

        void Keep(byte[] input, Exception error, string number)
        {
            var name = Path.Combine(
                folder,
                string.Create(CultureInfo.InvariantCulture, $"{arguments[0]}-{seed}-{number}")
            );
            File.WriteAllBytes($"{name}.bin", input);
            File.WriteAllText($"{name}.txt", error.ToString());
        }

        void Report(int number) =>
            Console.WriteLine(
                string.Create(CultureInfo.InvariantCulture, $"{number} {accepted} {refused} {undocumented}")
            );
    }

    /// <summary>Why a door refuses the first input of its corpus, which is valid; null if it reads that input. If it
    /// were refused, every mutant would be refused too, and the code behind the door would not be tested.</summary>
    private static Exception? Refusal(FuzzDoor door)
    {
        Exception? refusal = null;
        // A random option may make even a valid input fail, such as a budget that it misses, so one success is
        // enough.
        for (var variant = 0; variant < Variants; variant++)
        {
            try
            {
                door.Open(door.Corpus[0], new Random(variant));
                return null;
            }
            catch (Exception error) when (door.IsDocumented(error))
            {
                refusal = error;
            }
        }

        return refusal;
    }

    /// <summary>Type and source line of an exception, so that each fault is kept only once.</summary>
    private static string Place(Exception error) =>
        $"{error.GetType()} {error.StackTrace?.Split('\n').FirstOrDefault()}";
}
